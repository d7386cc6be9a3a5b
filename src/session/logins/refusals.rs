//! Refused logins of one peer at one target: each further one waits longer, so that passwords cannot be guessed quickly.
//!
//! The wait comes after the refusal, before the application reads it. So it delays nobody else, even where many people share an
//! address, as behind a port-forward; and since the login counts against `max_logins_per_peer` meanwhile, one peer gets
//! at most as many answers in five seconds, however many connections it opens.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Refusals without a wait: a person mistypes a password.
const FREE: u32 = 2;

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);

/// Refusals are forgotten after this time without another one.
const FORGOTTEN: Duration = Duration::from_mins(5);

/// The most peers and targets that are remembered. Beyond it the one whose last refusal is the oldest is forgotten.
const REMEMBERED: usize = 4096;

type Key = (Option<IpAddr>, Arc<str>);

/// The refusals that are remembered.
#[derive(Default)]
pub(super) struct Refusals {
    runs: HashMap<Key, Run>,
}

/// Refusals without a success between.
struct Run {
    count: u32,
    last: Instant,
}

impl Refusals {
    /// Counts a refusal and returns how long the login has to wait.
    pub(super) fn refused(&mut self, peer: Option<IpAddr>, target: &Arc<str>, now: Instant) -> Duration {
        let key = (peer, Arc::clone(target));
        if !self.runs.contains_key(&key) {
            self.make_room(now);
        }
        let run = self.runs.entry(key).or_insert(Run { count: 0, last: now });
        if now.duration_since(run.last) >= FORGOTTEN {
            run.count = 0;
        }
        *run = Run { count: run.count.saturating_add(1), last: now };
        wait(run.count)
    }

    /// Forgets the refusals of this peer at this target.
    pub(super) fn forget(&mut self, peer: Option<IpAddr>, target: &Arc<str>) {
        if !self.runs.is_empty() {
            self.runs.remove(&(peer, Arc::clone(target)));
        }
    }

    fn make_room(&mut self, now: Instant) {
        if self.runs.len() < REMEMBERED {
            return;
        }
        self.runs.retain(|_, run| now.duration_since(run.last) < FORGOTTEN);
        if self.runs.len() < REMEMBERED {
            return;
        }
        let oldest = self.runs.iter().min_by_key(|(_, run)| run.last).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.runs.remove(&oldest);
        }
    }
}

/// The wait of the refusal with this number.
fn wait(count: u32) -> Duration {
    match count.checked_sub(FREE + 1) {
        None => Duration::ZERO,
        Some(doubled) => 2_u32.checked_pow(doubled).map_or(LONGEST, |factor| (FIRST * factor).min(LONGEST)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));

    #[test]
    fn each_refusal_waits_longer_until_a_success() {
        let (mut refusals, target, now) = (Refusals::default(), Arc::from("db-1"), Instant::now());
        let waits: Vec<_> = (0..12).map(|_| refusals.refused(PEER, &target, now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
        assert_eq!(wait(u32::MAX), LONGEST);
        let (other, none) = (Arc::from("db-2"), Duration::ZERO);
        assert_eq!(refusals.refused(PEER, &other, now), none, "another target");
        assert_eq!(refusals.refused(None, &target, now), none, "another peer");
        refusals.forget(PEER, &target);
        assert_eq!(refusals.refused(PEER, &target, now), none);
    }

    #[test]
    fn refusals_are_forgotten_after_a_while() {
        let (mut refusals, target, now) = (Refusals::default(), Arc::from("db-1"), Instant::now());
        for _ in 0..20 {
            refusals.refused(None, &target, now);
        }
        assert_eq!(refusals.refused(None, &target, now + FORGOTTEN), Duration::ZERO);
    }

    #[test]
    fn a_bounded_number_is_remembered() {
        let (mut refusals, target, now) = (Refusals::default(), Arc::from("db-1"), Instant::now());
        let peer = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        for number in 0..10_000 {
            refusals.refused(peer(number), &target, now + Duration::from_millis(number.into()));
        }
        assert_eq!(refusals.runs.len(), REMEMBERED);
        assert!(refusals.runs.contains_key(&(peer(9_999), Arc::clone(&target))));
        assert!(!refusals.runs.contains_key(&(peer(0), target)));
    }
}

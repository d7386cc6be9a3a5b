//! Refused logins of each peer in the last minutes. A peer with many guesses passwords, tokens or names, or is an application
//! that lost its right and retries.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::warn;

use super::Reason;

/// From this number of refusals in the window on, the log names a peer. The alert in `build/monitoring` has the same number.
const MANY: u32 = 100;

/// The window has this many slices.
const SLICES: usize = 5;

const SLICE: Duration = Duration::from_mins(1);

/// The most networks that are counted. Beyond it the one with the fewest refusals is forgotten.
const REMEMBERED: usize = 1024;

/// The refusals by which a peer may find out a secret or a name.
const GUESSES: [Reason; 4] = [Reason::LoginRefused, Reason::TargetAcl, Reason::Token, Reason::UnknownTarget];

/// The counts. Clones share them.
#[derive(Clone)]
pub(super) struct Guesses(Arc<Mutex<Networks>>);

struct Networks {
    began: Instant,
    counts: HashMap<IpAddr, Counts>,
}

/// The refusals of one network.
#[derive(Default)]
struct Counts {
    /// The number of the newest slice since the beginning.
    slice: u64,
    /// The newest first.
    slices: [u32; SLICES],
    /// The slice of the last log line.
    logged: Option<u64>,
}

impl Default for Guesses {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Networks { began: Instant::now(), counts: HashMap::new() })))
    }
}

impl Guesses {
    /// Counts a refusal, and names the network in the log if it has many. Peers on Unix sockets have no network.
    pub(super) fn note(&self, network: Option<IpAddr>, reason: &str, target: &str, user: &str) {
        let Some(network) = network.filter(|_| GUESSES.iter().any(|guess| guess.name() == reason)) else {
            return;
        };
        let due = self.0.lock().add(network, Instant::now());
        if let Some(refused) = due {
            warn!(
                %network, refused, reason, target, user,
                "many logins of one peer were refused in the last 5 minutes: it guesses, or an application retries"
            );
        }
    }

    /// The most refused logins of one network in the window.
    pub(super) fn largest(&self) -> u32 {
        self.0.lock().largest(Instant::now())
    }
}

impl Networks {
    /// Counts a refusal. Returns the number of refusals if a log line is due.
    fn add(&mut self, network: IpAddr, now: Instant) -> Option<u32> {
        let slice = self.slice(now);
        if !self.counts.contains_key(&network) {
            self.make_room(slice);
        }
        let counts = self.counts.entry(network).or_default();
        counts.advance(slice);
        if let Some(newest) = counts.slices.first_mut() {
            *newest = newest.saturating_add(1);
        }
        counts.due()
    }

    fn largest(&mut self, now: Instant) -> u32 {
        let slice = self.slice(now);
        self.counts.values_mut().map(|counts| counts.advance(slice)).max().unwrap_or_default()
    }

    fn make_room(&mut self, slice: u64) {
        if self.counts.len() < REMEMBERED {
            return;
        }
        self.counts.retain(|_, counts| counts.advance(slice) > 0);
        if self.counts.len() < REMEMBERED {
            return;
        }
        let fewest = self.counts.iter().min_by_key(|(_, counts)| counts.total()).map(|(network, _)| *network);
        if let Some(fewest) = fewest {
            self.counts.remove(&fewest);
        }
    }

    fn slice(&self, now: Instant) -> u64 {
        now.duration_since(self.began).as_secs() / SLICE.as_secs()
    }
}

impl Counts {
    /// Makes this slice the newest one. Returns the refusals in the window.
    fn advance(&mut self, slice: u64) -> u32 {
        let passed = usize::try_from(slice.saturating_sub(self.slice)).unwrap_or(SLICES).min(SLICES);
        self.slices.rotate_right(passed);
        self.slices.iter_mut().take(passed).for_each(|count| *count = 0);
        self.slice = self.slice.max(slice);
        self.total()
    }

    fn total(&self) -> u32 {
        self.slices.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    /// The refusals in the window if they are many, and no line was written in it.
    fn due(&mut self) -> Option<u32> {
        let total = self.total();
        let quiet = self.logged.is_none_or(|logged| self.slice - logged >= SLICES as u64);
        if total < MANY || !quiet {
            return None;
        }
        self.logged = Some(self.slice);
        Some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = SLICE;

    fn networks() -> (Networks, Instant) {
        let began = Instant::now();
        (Networks { began, counts: HashMap::new() }, began)
    }

    fn network(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn the_count_is_that_of_the_last_five_minutes() {
        let (mut networks, began) = networks();
        for (minute, refusals) in [(0, 3), (1, 5), (4, 1)] {
            for _ in 0..refusals {
                networks.add(network(1), began + minute * MINUTE);
            }
        }
        networks.add(network(2), began + 4 * MINUTE);
        let largest: Vec<_> = (4..11).map(|minute| networks.largest(began + minute * MINUTE)).collect();
        assert_eq!(largest, [9, 6, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn many_refusals_are_logged_once_in_five_minutes() {
        let (mut networks, began) = networks();
        let lines: Vec<_> = (0..1000)
            .filter_map(|number| {
                let now = began + number * MINUTE / 100;
                networks.add(network(1), now).map(|refused| (number / 100, refused))
            })
            .collect();
        assert_eq!(lines, [(0, 100), (5, 401)]);
        for number in 2..50 {
            assert_eq!(networks.add(network(number), began + 10 * MINUTE), None, "few of each are no line");
        }
    }

    #[test]
    fn a_bounded_number_is_counted_and_many_addresses_do_not_hide_the_largest() {
        let (mut networks, now) = networks();
        for _ in 0..50 {
            networks.add(network(0), now);
        }
        for number in 1..5000 {
            networks.add(network(number), now);
        }
        assert_eq!((networks.counts.len(), networks.largest(now)), (REMEMBERED, 50));
    }

    #[test]
    fn refusals_without_a_guess_do_not_count() {
        let guesses = Guesses::default();
        guesses.note(Some(network(1)), Reason::Timeout.name(), "db-1", "alice");
        guesses.note(None, Reason::Token.name(), "db-1", "alice");
        assert_eq!(guesses.largest(), 0);
        guesses.note(Some(network(1)), Reason::Token.name(), "db-1", "alice");
        assert_eq!(guesses.largest(), 1);
    }
}

//! The state of a client in one line, for its terminal.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use indicatif::DecimalBytes;

use crate::aws::Minters;
use crate::catalog::Dial;
use crate::session::{LiveSessions, Traffic};

/// What the line is about.
pub(crate) struct Status {
    sessions: LiveSessions,
    /// Absent where the client opens no tunnel.
    tunnel: Option<Arc<dyn Dial>>,
    /// Absent where the client makes no AWS call.
    minter: Option<Minters>,
    /// What the sessions had moved at this time.
    before: (Instant, Traffic),
}

impl Status {
    pub(super) fn new(
        sessions: LiveSessions,
        tunnel: Option<Arc<dyn Dial>>,
        minter: Option<Minters>,
    ) -> Self {
        let before = (Instant::now(), sessions.traffic());
        Self { sessions, tunnel, minter, before }
    }

    /// The line for now. Its bytes per second are those since the line before.
    pub(crate) fn line(&mut self) -> String {
        let (now, traffic) = (Instant::now(), self.sessions.traffic());
        let (then, before) = std::mem::replace(&mut self.before, (now, traffic));
        let tunnel = self.tunnel.as_ref().map(|tunnel| tunnel_state(tunnel.is_open()));
        let end = self.minter.as_ref().and_then(Minters::credentials_end);
        let credentials = end.map(|end| credentials(end, SystemTime::now()));
        let parts = [Some(sessions(before, traffic, now - then)), tunnel.map(str::to_owned), credentials];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" | ")
    }
}

fn sessions(before: Traffic, now: Traffic, elapsed: Duration) -> String {
    let rate = |before: u64, now: u64| {
        let bytes = u128::from(now.saturating_sub(before));
        let per_second = (bytes * 1000).checked_div(elapsed.as_millis()).unwrap_or_default();
        DecimalBytes(u64::try_from(per_second).unwrap_or(u64::MAX))
    };
    let (sent, received) = (rate(before.sent, now.sent), rate(before.received, now.received));
    let noun = if now.sessions == 1 { "session" } else { "sessions" };
    format!("{} {noun} | sent {sent}/s, received {received}/s", now.sessions)
}

const fn tunnel_state(is_open: Option<bool>) -> &'static str {
    match is_open {
        None => "tunnel not used yet",
        Some(true) => "tunnel open",
        Some(false) => "tunnel broken",
    }
}

fn credentials(end: SystemTime, now: SystemTime) -> String {
    let Ok(left) = end.duration_since(now) else { return "AWS credentials have ended".into() };
    let (minutes, seconds) = (left.as_secs() / 60, left.as_secs());
    match (minutes / 60, minutes) {
        (0, 0) => format!("AWS credentials end in {seconds} s"),
        (0, minutes) => format!("AWS credentials end in {minutes} min"),
        (hours, minutes) => format!("AWS credentials end in {hours} h {} min", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_a_second() {
        let before = Traffic { sessions: 3, sent: 1_000, received: 5 };
        let now = Traffic { sessions: 1, sent: 4_000, received: 3_000_005 };
        let line = sessions(before, now, Duration::from_secs(2));
        assert_eq!(line, "1 session | sent 1.50 kB/s, received 1.50 MB/s");
        let at_once = sessions(before, Traffic { sessions: 0, ..now }, Duration::ZERO);
        assert_eq!(at_once, "0 sessions | sent 0 B/s, received 0 B/s");
    }

    #[test]
    fn the_end_of_the_credentials_is_in_the_unit_that_matters() {
        let now = SystemTime::now();
        for (seconds, expected) in [
            (3 * 3600 + 20 * 60 + 59, "in 3 h 20 min"),
            (52 * 60, "in 52 min"),
            (59, "in 59 s"),
            (0, "in 0 s"),
        ] {
            let line = credentials(now + Duration::from_secs(seconds), now);
            assert_eq!(line, format!("AWS credentials end {expected}"));
        }
        assert_eq!(credentials(now, now + Duration::from_secs(1)), "AWS credentials have ended");
    }
}

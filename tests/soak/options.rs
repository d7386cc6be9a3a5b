//! How long and how many.

use std::time::Duration;

/// What a soak is to do. It ends with whatever comes first, the time or the sessions.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) time: Duration,
    pub(crate) sessions: u64,
    /// Of the faults and of the texts.
    pub(crate) seed: u64,
}

impl Options {
    /// From `SOAK_SECONDS`, without which there is no soak (empty: 120), `SOAK_SESSIONS` (10,000) and `SOAK_SEED` (1).
    pub(crate) fn from_env() -> Option<Self> {
        let seconds = std::env::var("SOAK_SECONDS").ok()?;
        let seconds = if seconds.is_empty() { 120 } else { seconds.parse().expect("SOAK_SECONDS") };
        let time = Duration::from_secs(seconds);
        Some(Self { time, sessions: number("SOAK_SESSIONS", 10_000), seed: number("SOAK_SEED", 1) })
    }
}

fn number(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

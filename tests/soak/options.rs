//! Duration and size of the soak test.

use std::time::Duration;

/// Options of a soak test. It ends after `time` or `sessions`, whichever comes first.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) time: Duration,
    pub(crate) sessions: u64,
    /// The seed of the disruptions and of the texts.
    pub(crate) seed: u64,
}

impl Options {
    /// Reads `SOAK_SECONDS` (empty: 120), `SOAK_SESSIONS` (10,000) and `SOAK_SEED` (1). None without `SOAK_SECONDS`.
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

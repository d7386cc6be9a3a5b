//! How long to measure.

use std::time::Duration;

/// From the environment, since `cargo bench` has arguments of its own.
pub(crate) struct Options {
    /// How often everything is measured on each way: `BENCH_ROUNDS`.
    pub(crate) rounds: usize,
    /// How long a round of pgbench runs: `BENCH_SECONDS`.
    pub(crate) time: Duration,
    /// Idle sessions at once: `BENCH_SESSIONS`. PostgreSQL has 500 places in the test world.
    pub(crate) sessions: usize,
}

impl Options {
    pub(crate) fn from_env() -> Self {
        Self {
            rounds: number("BENCH_ROUNDS", 3),
            time: Duration::from_secs(u64::try_from(number("BENCH_SECONDS", 4)).unwrap()),
            sessions: number("BENCH_SESSIONS", 480),
        }
    }
}

fn number(name: &str, default: usize) -> usize {
    let Ok(text) = std::env::var(name) else { return default };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.unwrap_or_else(|| panic!("{name} is a number above 0, not `{text}`"))
}

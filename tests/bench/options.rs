//! Options of the benchmark.

use std::time::Duration;

/// Options from environment variables, since `cargo bench` adds its own arguments.
pub(crate) struct Options {
    /// The number of rounds: `BENCH_ROUNDS`.
    pub(crate) rounds: usize,
    /// The duration of a pgbench run: `BENCH_SECONDS`.
    pub(crate) time: Duration,
    /// The number of idle sessions: `BENCH_SESSIONS`. PostgreSQL allows 500 in the test world.
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
    number.unwrap_or_else(|| panic!("{name} must be a number above 0, not `{text}`"))
}

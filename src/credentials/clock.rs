//! The time of day. In unit tests it goes with the clock of the runtime, which they pause.

use std::time::SystemTime;

#[cfg(not(test))]
pub(super) fn time_of_day() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
pub(super) fn time_of_day() -> SystemTime {
    use std::sync::LazyLock;
    use std::time::{Duration, Instant};

    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let begun = *BEGUN;
    let passed = tokio::time::Instant::now().into_std().saturating_duration_since(begun);
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + passed
}

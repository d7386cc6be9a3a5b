//! The age of a list of databases.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// When RDS listed a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedAt {
    /// Runs on when somebody sets the clock back.
    monotonic: Instant,
    /// Runs on while the machine is suspended, or its image is stored.
    wall_clock: SystemTime,
}

impl ListedAt {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), wall_clock: SystemTime::now() }
    }

    /// The earlier one of two.
    #[must_use]
    pub fn older(self, other: Self) -> Self {
        if self.age() < other.age() { other } else { self }
    }

    /// The time since then; where the two clocks differ, the longer one.
    #[must_use]
    pub fn age(self) -> Duration {
        self.monotonic.elapsed().max(self.wall_clock.elapsed().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn the_longer_of_two_clocks_counts() {
        let slept = ListedAt { wall_clock: SystemTime::now() - HOUR, ..ListedAt::now() };
        assert!(slept.age() >= HOUR);
        let set_back = ListedAt { wall_clock: SystemTime::now() + HOUR, ..ListedAt::now() };
        assert_eq!(set_back.age(), Duration::ZERO);
        tokio::time::advance(2 * HOUR).await;
        assert_eq!(set_back.age(), 2 * HOUR);
    }
}

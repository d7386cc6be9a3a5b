//! The clock of AWS, and how far another clock is from it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// The least difference that is worth a word: an application logs in at once with a token made for it, and a response is some
/// seconds old.
const NOTABLE: Duration = Duration::from_mins(1);

/// The time by the clock of AWS, as its responses report it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct AwsClock(Arc<Mutex<Option<Report>>>);

#[derive(Clone, Copy, Debug)]
struct Report {
    /// The time by AWS.
    time: SystemTime,
    /// This machine's clocks when it arrived: the one that can be set, and the one that only runs.
    wall_clock: SystemTime,
    monotonic: Instant,
}

impl AwsClock {
    /// Keeps the time that a response of AWS reports.
    pub fn report(&self, time: SystemTime) {
        let report = Report { time, wall_clock: SystemTime::now(), monotonic: Instant::now() };
        *self.0.lock() = Some(report);
    }

    /// The time by AWS now. Absent if no response reported it, or if this machine's clock was set or the machine slept since then:
    /// the report says nothing about the clock as it is now.
    #[must_use]
    pub fn now(&self) -> Option<SystemTime> {
        let report = (*self.0.lock())?;
        let passed = report.monotonic.elapsed();
        let runs_on = ClockDifference::of(SystemTime::now(), report.wall_clock + passed).is_none();
        runs_on.then(|| report.time + passed)
    }
}

/// How far a clock is from another one: a minute at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDifference {
    /// Whole minutes.
    pub minutes: u64,
    /// Whether the clock is ahead of the other one, or behind it.
    pub is_ahead: bool,
}

impl ClockDifference {
    /// The difference of `clock` from `other`; absent below a minute.
    #[must_use]
    pub fn of(clock: SystemTime, other: SystemTime) -> Option<Self> {
        let (difference, is_ahead) = match other.duration_since(clock) {
            Ok(behind) => (behind, false),
            Err(ahead) => (ahead.duration(), true),
        };
        let minutes = difference.as_secs() / 60;
        (difference >= NOTABLE).then_some(Self { minutes, is_ahead })
    }
}

/// For a sentence about the clock of this machine, which was compared with that of AWS.
impl fmt::Display for ClockDifference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minutes, is_ahead } = self;
        let side = if *is_ahead { "ahead of" } else { "behind" };
        write!(formatter, "{minutes} minutes {side} that of AWS")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_response_runs_on() {
        let clock = AwsClock::default();
        assert_eq!(clock.now(), None);
        let ahead = SystemTime::now() + Duration::from_mins(12);
        clock.clone().report(ahead);
        let now = clock.now().unwrap();
        assert!(now >= ahead && now < ahead + Duration::from_secs(30), "{now:?}");
        let difference = ClockDifference::of(SystemTime::now(), now);
        assert!(matches!(difference, Some(ClockDifference { minutes: 11 | 12, is_ahead: false })));
    }

    #[test]
    fn a_report_from_before_the_clock_was_set_says_nothing() {
        let clock = AwsClock::default();
        clock.report(SystemTime::now());
        let set_since = SystemTime::now() - Duration::from_mins(12);
        clock.0.lock().as_mut().unwrap().wall_clock = set_since;
        assert_eq!(clock.now(), None);
    }

    #[test]
    fn less_than_a_minute_is_no_difference() {
        let now = SystemTime::now();
        assert_eq!(ClockDifference::of(now - Duration::from_secs(59), now), None);
        let behind = ClockDifference { minutes: 4, is_ahead: false };
        assert_eq!(ClockDifference::of(now - Duration::from_mins(4), now), Some(behind));
        let ahead = ClockDifference { minutes: 2, is_ahead: true };
        assert_eq!(ClockDifference::of(now + Duration::from_secs(150), now), Some(ahead));
    }
}

//! When credentials are renewed, and when a failed attempt is repeated. Pure functions: `spread` is a random number from 0 to 1.

use std::time::Duration;

/// The pause after the first failed attempt; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The part of the time until the renewal by which services that started together are spread.
const SPREAD: f64 = 0.1;

/// How long after their issue credentials are renewed: `buffer` before they expire, and never later than half of their
/// lifetime, so that there is as much time for attempts again. A buffer longer than that leaves a quarter of the lifetime.
/// Up to a tenth earlier by `spread`.
pub(super) fn renewal_after(lifetime: Duration, buffer: Duration, spread: f64) -> Duration {
    let latest = lifetime / 2;
    let earliest = lifetime / 4;
    let planned = lifetime.saturating_sub(buffer).clamp(earliest, latest);
    planned.mul_f64(1.0 - SPREAD * spread.clamp(0.0, 1.0))
}

/// The pause after `failures` attempts that failed in a row: 1 s, 2 s, 4 s, up to `longest`, and down to half of it by `spread`.
pub(super) fn pause_after(failures: u32, longest: Duration, spread: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(longest);
    pause.mul_f64(1.0 - 0.5 * spread.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn renewal_is_at_half_of_the_lifetime_or_the_buffer_before_the_end() {
        for (lifetime, buffer, expected) in [
            (900, 300, 450),
            (3600, 300, 1800),
            (900, 500, 400),
            (900, 800, 225),
            (900, 3600, 225),
            (43_200, 0, 21_600),
            (0, 300, 0),
        ] {
            let planned = renewal_after(seconds(lifetime), seconds(buffer), 0.0);
            assert_eq!(planned, seconds(expected), "{lifetime} {buffer}");
        }
        assert_eq!(renewal_after(seconds(900), seconds(300), 1.0), seconds(405));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = [1, 2, 3, 4, 7, 100].map(|failures| pause_after(failures, seconds(60), 0.0).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 60, 60]);
        assert_eq!(pause_after(3, seconds(60), 1.0), seconds(2));
        assert_eq!(pause_after(9, seconds(1), 0.0), seconds(1));
    }

    proptest! {
        #[test]
        fn no_schedule_is_without_a_bound(lifetime in 0_u64..50_000, buffer in 0_u64..10_000, failures: u32, spread in -1.0..2.0) {
            let planned = renewal_after(seconds(lifetime), seconds(buffer), spread);
            prop_assert!(planned <= seconds(lifetime) / 2);
            prop_assert!(planned >= (seconds(lifetime) / 4).mul_f64(0.9));
            let pause = pause_after(failures, seconds(300), spread);
            prop_assert!(pause >= Duration::from_millis(500) && pause <= seconds(300));
        }
    }
}

//! The durations: defaults, limits, and the words for "no limit".

use std::time::Duration;

use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw::Proxy;
use super::scalars::{MaxAge, Parsed};
use super::settings::{Drain, Stop};

const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

const MAX_AGE: Duration = Duration::from_hours(24);

/// `1y` in hours. A longer duration is a typing mistake, and could overflow when it is added to a time.
const MAX_DURATION: Duration = Duration::from_hours(8766);

const FOREVER: &str = ", or forever for no limit";

/// The time limit of a step, which must not be zero.
pub(super) fn deadline(
    key: &str,
    raw: Option<&Parsed<Duration>>,
    default: Duration,
) -> Result<Duration, KeyError> {
    let Some(Parsed(duration)) = raw else { return Ok(default) };
    if duration.is_zero() {
        let reason = "with no time every connection would fail; write a duration such as 15s";
        return Err(KeyError::of_value(path(key), reason));
    }
    bounded(path(key), *duration, "")
}

/// `idle_timeout`; absent: no limit.
pub(super) fn idle(proxy: &Proxy) -> Result<Option<Duration>, KeyError> {
    let Some(Parsed(duration)) = proxy.idle_timeout else { return Ok(None) };
    let duration = bounded(path("idle_timeout"), duration, ", or 0 for no limit")?;
    Ok((!duration.is_zero()).then_some(duration))
}

/// `shutdown_delay` and `drain_timeout`.
pub(super) fn stop(proxy: &Proxy) -> Result<Stop, KeyError> {
    let delay = proxy.shutdown_delay.as_ref().map_or(Duration::ZERO, |duration| duration.0);
    let drain = match proxy.drain_timeout {
        None => Drain::After(DRAIN_TIMEOUT),
        Some(Parsed(Drain::Forever)) => Drain::Forever,
        Some(Parsed(Drain::After(time))) => Drain::After(bounded(path("drain_timeout"), time, FOREVER)?),
    };
    Ok(Stop { delay: bounded(path("shutdown_delay"), delay, "")?, drain })
}

/// `rds.max_age`.
pub(super) fn max_age(raw: Option<MaxAge>) -> Result<Option<Duration>, KeyError> {
    let path = KeyPath::of(&["rds", "max_age"]);
    match raw {
        None => Ok(Some(MAX_AGE)),
        Some(MaxAge(None)) => Ok(None),
        Some(MaxAge(Some(age))) if age.is_zero() => {
            let reason =
                "every list is older than that; write a duration such as 24h, or forever for no limit";
            Err(KeyError::of_value(path, reason))
        }
        Some(MaxAge(Some(age))) => bounded(path, age, FOREVER).map(Some),
    }
}

/// Checks the maximum; `never` tells what to write for no limit.
fn bounded(path: KeyPath, duration: Duration, never: &str) -> Result<Duration, KeyError> {
    if duration > MAX_DURATION {
        return Err(KeyError::of_value(path, format!("this is too long; write at most 1y{never}")));
    }
    Ok(duration)
}

fn path(key: &str) -> KeyPath {
    KeyPath::of(&["proxy", key])
}

//! The durations of `proxy`: defaults, limits, and the words for "no limit".

use std::time::Duration;

use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw::Proxy;
use super::scalars::Parsed;
use super::settings::{Drain, Stop};

const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// `1y` in hours. A longer duration is a typing mistake, and could overflow when it is added to a time.
const MAX_DURATION: Duration = Duration::from_hours(8766);

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
    bounded(key, *duration, "")
}

/// `idle_timeout`; absent: no limit.
pub(super) fn idle(proxy: &Proxy) -> Result<Option<Duration>, KeyError> {
    let Some(Parsed(duration)) = proxy.idle_timeout else { return Ok(None) };
    let duration = bounded("idle_timeout", duration, ", or 0 for no limit")?;
    Ok((!duration.is_zero()).then_some(duration))
}

/// `shutdown_delay` and `drain_timeout`.
pub(super) fn stop(proxy: &Proxy) -> Result<Stop, KeyError> {
    let delay = proxy.shutdown_delay.as_ref().map_or(Duration::ZERO, |duration| duration.0);
    let drain = match proxy.drain_timeout {
        None => Drain::After(DRAIN_TIMEOUT),
        Some(Parsed(Drain::Forever)) => Drain::Forever,
        Some(Parsed(Drain::After(time))) => {
            Drain::After(bounded("drain_timeout", time, ", or forever for no limit")?)
        }
    };
    Ok(Stop { delay: bounded("shutdown_delay", delay, "")?, drain })
}

/// Checks the maximum; `never` tells what to write for no limit.
fn bounded(key: &str, duration: Duration, never: &str) -> Result<Duration, KeyError> {
    if duration > MAX_DURATION {
        return Err(KeyError::of_value(path(key), format!("this is too long; write at most 1y{never}")));
    }
    Ok(duration)
}

fn path(key: &str) -> KeyPath {
    KeyPath::of(&["proxy", key])
}

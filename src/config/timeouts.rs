//! The durations of `proxy`: their defaults, how long they may be, and which word is for ever.

use std::time::Duration;

use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw::Proxy;
use super::scalars::Parsed;
use super::settings::{Drain, Stop};

const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// `1y` as it is read. What is longer is a slip of the pen, and somewhere too much to be added to the time of a clock.
const LONGEST: Duration = Duration::from_hours(8766);

/// A time in which something has to be done, which is never none at all.
pub(super) fn deadline(
    key: &str,
    raw: Option<&Parsed<Duration>>,
    default: Duration,
) -> Result<Duration, KeyError> {
    let Some(Parsed(duration)) = raw else { return Ok(default) };
    if duration.is_zero() {
        let reason = "no time at all lets nothing succeed; write a duration such as 15s";
        return Err(KeyError::of_value(path(key), reason));
    }
    bounded(key, *duration, "")
}

/// `idle_timeout`, where there is one.
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

/// `never` is what to write instead where no limit is meant.
fn bounded(key: &str, duration: Duration, never: &str) -> Result<Duration, KeyError> {
    if duration > LONGEST {
        return Err(KeyError::of_value(path(key), format!("this is too long; write at most 1y{never}")));
    }
    Ok(duration)
}

fn path(key: &str) -> KeyPath {
    KeyPath::of(&["proxy", key])
}

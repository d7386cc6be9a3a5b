//! Numbers of seconds within a range.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::key_error::{KeyError, quoted};
use crate::config::key_path::KeyPath;
use crate::config::scalars::Parsed;

/// A number of seconds in this range.
pub(super) fn seconds(
    path: &KeyPath,
    raw: Option<&Parsed<u64>>,
    range: RangeInclusive<u64>,
    default: Duration,
) -> Result<Duration, KeyError> {
    let Some(Parsed(seconds)) = raw else { return Ok(default) };
    if range.contains(seconds) {
        return Ok(Duration::from_secs(*seconds));
    }
    let reason = format!("is not from {} to {} seconds", range.start(), range.end());
    Err(KeyError::refused(path.clone(), quoted(&seconds.to_string()), reason))
}

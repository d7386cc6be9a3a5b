//! Parts of what the command prints.

use std::path::{self, Path};
use std::time::{Duration, SystemTime};

/// The protection of the key. Outside of Unix a new file has the permissions of its directory.
pub(super) const PROTECTION: &str = if cfg!(unix) {
    "which only its owner can read"
} else {
    "which every user with access to its directory can read"
};

/// Rounds a time to days.
const HALF_A_DAY: Duration = Duration::from_hours(12);

/// The time between, rounded to days.
pub(super) fn days_between(now: SystemTime, then: SystemTime) -> u64 {
    let left = then.duration_since(now).unwrap_or_default();
    (left + HALF_A_DAY).as_secs() / (2 * HALF_A_DAY.as_secs())
}

/// The absolute path as a YAML string, which every JSON string is.
pub(super) fn quoted(path: &Path) -> String {
    let absolute = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    serde_json::Value::from(absolute.to_string_lossy()).to_string()
}

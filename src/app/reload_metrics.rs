//! Whether the last load of the configuration succeeded, and when one last did.

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Unit, describe_gauge, gauge};

const SUCCESSFUL: &str = "rds_auth_proxy_config_last_reload_successful";
const TIME: &str = "rds_auth_proxy_config_last_reload_success_timestamp_seconds";

/// Describes the metrics to the recorder. The configuration has been loaded once, so the first load succeeded.
pub(super) fn describe() {
    describe_gauge!(SUCCESSFUL, "1 if the configuration in the file is in use, 0 if it could not be loaded.");
    describe_gauge!(TIME, Unit::Seconds, "When the configuration was last loaded, in seconds since 1970.");
    succeeded();
}

/// The configuration was loaded.
pub(super) fn succeeded() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(SUCCESSFUL).set(1.0);
    gauge!(TIME).set(now.as_secs_f64());
}

/// The file cannot be used.
pub(super) fn failed() {
    gauge!(SUCCESSFUL).set(0.0);
}

//! The metrics of discovery.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const FAILURES: &str = "rds_auth_proxy_discovery_failures_total";
const REFRESHES: &str = "rds_auth_proxy_discovery_refreshes_total";
const AGE: &str = "rds_auth_proxy_discovery_age_seconds";
const TARGETS: &str = "rds_auth_proxy_targets";

/// Describes the metrics to the recorder.
pub fn describe() {
    describe_counter!(REFRESHES, "Listings of the RDS databases that began.");
    describe_counter!(FAILURES, "Listings of the RDS databases that failed; the last list stays in use.");
    describe_gauge!(AGE, Unit::Seconds, "Age of the oldest list of RDS databases among the regions.");
    describe_gauge!(TARGETS, "Targets that can be reached.");
    counter!(FAILURES).absolute(0);
}

pub(super) fn refreshing() {
    counter!(REFRESHES).increment(1);
}

pub(super) fn failed() {
    counter!(FAILURES).increment(1);
}

pub(super) fn state(targets: usize, age: Option<Duration>) {
    gauge!(TARGETS).set(u32::try_from(targets).unwrap_or(u32::MAX));
    if let Some(age) = age {
        gauge!(AGE).set(age.as_secs_f64());
    }
}

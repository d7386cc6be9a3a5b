//! The metrics of discovery.

use metrics::{counter, describe_counter, describe_gauge, gauge};

const REFRESHES: &str = "rds_auth_proxy_discovery_refreshes_total";
const TARGETS: &str = "rds_auth_proxy_targets";

/// Describes the metrics to the recorder.
pub fn describe() {
    describe_counter!(REFRESHES, "Listings of the RDS databases that began.");
    describe_gauge!(TARGETS, "Targets that can be reached.");
}

pub(super) fn refreshing() {
    counter!(REFRESHES).increment(1);
}

/// Sets how many targets can be reached.
pub(super) fn reachable(targets: usize) {
    gauge!(TARGETS).set(u32::try_from(targets).unwrap_or(u32::MAX));
}

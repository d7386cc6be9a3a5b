//! The metrics of tunnels. `docs/operations.md` lists the names, which are part of the product.

use std::time::{Duration, SystemTime};

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const STREAMS_OPEN: &str = "rds_auth_proxy_tunnel_streams_open";
const DIALS: &str = "rds_auth_proxy_tunnel_dials_total";
const PODS: &str = "rds_auth_proxy_tunnel_pods";
const DIAL_SECONDS: &str = "rds_auth_proxy_tunnel_last_dial_seconds";
const DIAL_TIME: &str = "rds_auth_proxy_tunnel_last_dial_timestamp_seconds";

/// Registers the help texts with the recorder.
pub fn describe() {
    describe_gauge!(STREAMS_OPEN, "Open streams to pods.");
    describe_counter!(DIALS, "Attempts to open a stream to a pod, by outcome.");
    describe_gauge!(
        PODS,
        "Running pods in the last list, by whether they are ready; streams lead to the others only where no ready one works."
    );
    describe_gauge!(DIAL_SECONDS, Unit::Seconds, "The time to open the most recent stream.");
    describe_gauge!(DIAL_TIME, "The time at which the most recent stream was opened, in seconds since 1970.");
}

/// Counts a stream as open until it is dropped.
pub(super) struct OpenStream;

impl OpenStream {
    pub(super) fn new() -> Self {
        gauge!(STREAMS_OPEN).increment(1);
        Self
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        gauge!(STREAMS_OPEN).decrement(1);
    }
}

/// Records the running pods.
pub(super) fn record_pods(ready: usize, not_ready: usize) {
    for (state, pods) in [("ready", ready), ("not_ready", not_ready)] {
        gauge!(PODS, "state" => state).set(u32::try_from(pods).unwrap_or(u32::MAX));
    }
}

/// Counts a dial that opened a stream, and records its duration.
pub(super) fn count_dial(duration: Duration) {
    counter!(DIALS, "outcome" => "open").increment(1);
    gauge!(DIAL_SECONDS).set(duration.as_secs_f64());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(DIAL_TIME).set(now.as_secs_f64());
}

/// Counts a dial that failed.
pub(super) fn count_failed_dial(outcome: &'static str) {
    counter!(DIALS, "outcome" => outcome).increment(1);
}

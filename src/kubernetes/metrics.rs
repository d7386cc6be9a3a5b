//! What is counted about tunnels. The names are part of the product, see `docs/operations.md`.

use std::time::{Duration, SystemTime};

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const STREAMS_OPEN: &str = "rds_auth_proxy_tunnel_streams_open";
const DIALS: &str = "rds_auth_proxy_tunnel_dials_total";
const PODS: &str = "rds_auth_proxy_tunnel_pods";
const DIAL_SECONDS: &str = "rds_auth_proxy_tunnel_last_dial_seconds";
const DIAL_TIME: &str = "rds_auth_proxy_tunnel_last_dial_timestamp_seconds";

/// Tells the recorder what the names mean.
pub fn describe() {
    describe_gauge!(STREAMS_OPEN, "Streams to pods that are open.");
    describe_counter!(DIALS, "Streams that were asked for, by outcome.");
    describe_gauge!(
        PODS,
        "Running pods at the last look, by whether they are ready; streams lead to those that are."
    );
    describe_gauge!(DIAL_SECONDS, Unit::Seconds, "How long it took to open the last stream that was opened.");
    describe_gauge!(DIAL_TIME, "When the last stream was opened, in seconds since 1970.");
}

/// A stream that is open; counted off when dropped.
pub(super) struct OpenStream;

impl OpenStream {
    pub(super) fn open() -> Self {
        gauge!(STREAMS_OPEN).increment(1);
        Self
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        gauge!(STREAMS_OPEN).decrement(1);
    }
}

/// Notes which pods were found.
pub(super) fn found(ready: usize, not_ready: usize) {
    for (state, pods) in [("ready", ready), ("not_ready", not_ready)] {
        gauge!(PODS, "state" => state).set(u32::try_from(pods).unwrap_or(u32::MAX));
    }
}

/// Notes that a stream was opened, and how long that took.
pub(super) fn opened(took: Duration) {
    counter!(DIALS, "outcome" => "open").increment(1);
    gauge!(DIAL_SECONDS).set(took.as_secs_f64());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(DIAL_TIME).set(now.as_secs_f64());
}

/// Notes that none was opened.
pub(super) fn failed(outcome: &'static str) {
    counter!(DIALS, "outcome" => outcome).increment(1);
}

//! The metrics of connections. The names are part of the product: `docs/operations.md` explains each, and the
//! dashboard and the alerts in `build/monitoring` use them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{
    Counter, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::client_version::version_label;
use super::{Fault, Limits, Reason};

/// How long the steps of a handshake take, in seconds.
const HANDSHAKE_SECONDS: &str = "rds_auth_proxy_handshake_seconds";

/// How long a login takes, in seconds.
const LOGIN_SECONDS: &str = "rds_auth_proxy_login_seconds";

/// The histograms in seconds.
pub const HISTOGRAMS: [&str; 2] = [HANDSHAKE_SECONDS, LOGIN_SECONDS];

const SESSIONS_OPEN: &str = "rds_auth_proxy_sessions_open";
const SESSIONS: &str = "rds_auth_proxy_sessions_total";
const CONNECTIONS_OPEN: &str = "rds_auth_proxy_connections_open";
const PENDING: &str = "rds_auth_proxy_connections_pending";
const OLDEST_SESSION: &str = "rds_auth_proxy_oldest_session_seconds";
const SLOTS_USED: &str = "rds_auth_proxy_slots_used";
const MAX_CONNECTIONS: &str = "rds_auth_proxy_max_connections";
const CONNECTIONS: &str = "rds_auth_proxy_connections_total";
const LOGINS_OPEN: &str = "rds_auth_proxy_logins_open";
const LOGINS_WAITING: &str = "rds_auth_proxy_logins_waiting";
const LOGINS_DELAYED: &str = "rds_auth_proxy_logins_delayed_total";
const CLIENT_SESSIONS: &str = "rds_auth_proxy_client_sessions_total";
const REFUSALS: &str = "rds_auth_proxy_refused_total";
const GUESSES: &str = "rds_auth_proxy_refused_logins_of_one_peer";
const CANCELS: &str = "rds_auth_proxy_cancel_requests_total";
const BYTES: &str = "rds_auth_proxy_bytes_total";

/// The values of `ended_by` and `outcome`.
const ENDS: [(&str, [&str; 3]); 3] = [
    ("application", ["closed", "broken", "vanished"]),
    ("hop", ["closed", "broken", "vanished"]),
    ("proxy", ["idle_timeout", "shutdown", "administrator"]),
];

/// The label `target` of connections that name no known target.
const OTHER: &str = "other";

/// Describes the metrics to the recorder.
pub fn describe() {
    describe_gauge!(CONNECTIONS_OPEN, "Connections accepted and not yet closed, in whatever step.");
    describe_gauge!(PENDING, "Connections whose startup packet has not arrived.");
    describe_gauge!(OLDEST_SESSION, Unit::Seconds, "Age of the oldest open session; 0 without one.");
    describe_counter!(CONNECTIONS, "Connections accepted.");
    describe_gauge!(MAX_CONNECTIONS, "The limit on sessions, max_connections.");
    describe_gauge!(SLOTS_USED, "Sessions and logins that count against max_connections.");
    describe_gauge!(SESSIONS_OPEN, "Sessions that are ready for queries, by target.");
    describe_counter!(SESSIONS, "Sessions that have ended, by target, the side that ended them and how.");
    describe_counter!(CLIENT_SESSIONS, "Sessions that have begun, by the version of the client.");
    describe_counter!(
        REFUSALS,
        "Connections that did not become a session, by the side at fault, the reason and the target."
    );
    describe_gauge!(GUESSES, "The most logins of one peer that were refused in the last 5 minutes.");
    describe_gauge!(LOGINS_OPEN, "Logins under way at a target, from the dial to ready.");
    describe_gauge!(LOGINS_WAITING, "Logins that wait for their turn, by target.");
    describe_counter!(
        LOGINS_DELAYED,
        "Logins that had to wait, by cause: a limit of logins, or refusals before."
    );
    describe_counter!(CANCELS, "Cancel requests delivered, by target.");
    describe_counter!(BYTES, Unit::Bytes, "Bytes of sessions, open ones included, by target and direction.");
    expect_refusals(OTHER);
    for cause in ["limit", "refusals"] {
        counter!(LOGINS_DELAYED, "cause" => cause).increment(0);
    }
    describe_histogram!(HANDSHAKE_SECONDS, Unit::Seconds, "Time from accept to ready, by step.");
    describe_histogram!(LOGIN_SECONDS, Unit::Seconds, "Time from the dial of a target to ready, by target.");
}

/// Sets the limit that is in force.
pub(super) fn limited(limits: &Limits) {
    gauge!(MAX_CONNECTIONS).set(u32::try_from(limits.max_connections).unwrap_or(u32::MAX));
    gauge!(SLOTS_USED).increment(0);
}

/// Sets how many slots count against `max_connections`.
pub(super) fn slots_used(slots: usize) {
    gauge!(SLOTS_USED).set(u32::try_from(slots).unwrap_or(u32::MAX));
}

/// Sets how many connections are pending.
pub(super) fn pending(connections: usize) {
    gauge!(PENDING).set(u32::try_from(connections).unwrap_or(u32::MAX));
}

/// Sets the most refused logins of one peer.
pub(super) fn guesses(refused: u32) {
    gauge!(GUESSES).set(refused);
}

/// Sets the age of the oldest session; absent where none is open.
pub(super) fn oldest_session(age: Option<Duration>) {
    gauge!(OLDEST_SESSION).set(age.unwrap_or_default().as_secs_f64());
}

/// Counts bytes that sessions at this target have moved.
pub(super) fn moved(target: &str, sent: u64, received: u64) {
    for (direction, bytes) in [("sent", sent), ("received", received)] {
        counter!(BYTES, "target" => target.to_owned(), "direction" => direction).increment(bytes);
    }
}

/// An open connection; the gauge goes down when it is dropped.
pub(super) struct Connection;

impl Connection {
    pub(super) fn open() -> Self {
        counter!(CONNECTIONS).increment(1);
        gauge!(CONNECTIONS_OPEN).increment(1);
        Self
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        gauge!(CONNECTIONS_OPEN).decrement(1);
    }
}

/// A login; its gauge goes down when it is dropped.
pub(super) struct Login {
    gauge: &'static str,
    target: Arc<str>,
}

impl Login {
    /// One that waits for its turn.
    pub(super) fn waiting(target: &Arc<str>) -> Self {
        Self::counted(LOGINS_WAITING, target)
    }

    /// One that is under way.
    pub(super) fn under_way(target: &Arc<str>) -> Self {
        Self::counted(LOGINS_OPEN, target)
    }

    fn counted(gauge: &'static str, target: &Arc<str>) -> Self {
        gauge!(gauge, "target" => Arc::clone(target)).increment(1);
        Self { gauge, target: Arc::clone(target) }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        gauge!(self.gauge, "target" => Arc::clone(&self.target)).decrement(1);
    }
}

/// Counts a login that had to wait, for this cause.
pub(super) fn login_delayed(cause: &'static str) {
    counter!(LOGINS_DELAYED, "cause" => cause).increment(1);
}

/// The steps of a handshake, one after the other.
pub(super) struct Steps {
    began: Instant,
}

impl Steps {
    pub(super) fn new() -> Self {
        Self { began: Instant::now() }
    }

    /// Records the time of the step that is over; the next begins.
    pub(super) fn done(&mut self, step: &'static str) {
        let took = std::mem::replace(&mut self.began, Instant::now()).elapsed();
        histogram!(HANDSHAKE_SECONDS, "step" => step).record(took);
    }
}

/// Records the time of the whole handshake.
pub(super) fn handshake(took: Duration) {
    histogram!(HANDSHAKE_SECONDS, "step" => "all").record(took);
}

/// Records a login that took this time, from the dial of its hop.
pub(super) fn logged_in(target: &str, took: Duration) {
    histogram!(LOGIN_SECONDS, "target" => label(target).to_owned()).record(took);
}

pub(super) fn session_began(target: &str) {
    gauge!(SESSIONS_OPEN, "target" => target.to_owned()).increment(1);
}

/// Counts a session of a client with this version.
pub(super) fn client_session(version: &str) {
    counter!(CLIENT_SESSIONS, "version" => version_label(version)).increment(1);
}

pub(super) fn session_ended(target: &str, ended_by: &'static str, outcome: &'static str) {
    gauge!(SESSIONS_OPEN, "target" => target.to_owned()).decrement(1);
    sessions(target, ended_by, outcome).increment(1);
}

fn sessions(target: &str, ended_by: &'static str, outcome: &'static str) -> Counter {
    counter!(SESSIONS, "target" => target.to_owned(), "ended_by" => ended_by, "outcome" => outcome)
}

pub(super) fn refused(fault: Fault, reason: Reason, target: &str) {
    refusals(fault, reason, label(target)).increment(1);
}

/// The value of the label `target`.
fn label(target: &str) -> &str {
    if target.is_empty() { OTHER } else { target }
}

/// Makes all series of this target, at 0: a counter that appears with its first burst shows no increase.
pub fn expect_target(target: &str) {
    let _at_zero = histogram!(LOGIN_SECONDS, "target" => target.to_owned());
    for name in [SESSIONS_OPEN, LOGINS_OPEN, LOGINS_WAITING] {
        gauge!(name, "target" => target.to_owned()).increment(0);
    }
    for (ended_by, outcomes) in ENDS {
        for outcome in outcomes {
            sessions(target, ended_by, outcome).increment(0);
        }
    }
    counter!(CANCELS, "target" => target.to_owned()).increment(0);
    moved(target, 0, 0);
    expect_refusals(target);
}

fn expect_refusals(target: &str) {
    for reason in Reason::ALL {
        for fault in reason.faults() {
            refusals(*fault, *reason, target).increment(0);
        }
    }
}

fn refusals(fault: Fault, reason: Reason, target: &str) -> Counter {
    counter!(REFUSALS, "fault" => fault.name(), "reason" => reason.name(), "target" => target.to_owned())
}

pub(super) fn cancelled(target: &str) {
    counter!(CANCELS, "target" => target.to_owned()).increment(1);
}

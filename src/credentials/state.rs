//! What the task that renews the credentials of a service and the requests for them share.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::clock::time_of_day;
use crate::services::RoleCredentials;

/// The state of one service.
pub(super) struct State {
    pub(super) held: watch::Sender<Held>,
    /// Wakes the task before its time.
    pub(super) wake: Notify,
}

/// The credentials and the last failure.
#[derive(Default)]
pub(super) struct Held {
    pub(super) credentials: Option<Issued>,
    /// Why the last attempt failed, and when it ended; absent after a success.
    pub(super) failure: Option<Failure>,
    /// Whether an attempt is under way.
    pub(super) is_trying: bool,
}

/// Credentials with the time of their renewal, by both clocks: the one of the machine may be set, and the other one stands
/// still while a laptop sleeps.
pub(super) struct Issued {
    pub(super) credentials: Arc<RoleCredentials>,
    pub(super) renew_at: SystemTime,
    pub(super) renew_by: Instant,
}

/// A failed attempt.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) ended: Instant,
    pub(super) next: Instant,
}

impl Issued {
    /// Whether it is time to renew them.
    pub(super) fn is_due(&self) -> bool {
        time_of_day() >= self.renew_at || Instant::now() >= self.renew_by
    }

    /// The credentials, while they are valid.
    pub(super) fn valid(&self) -> Option<Arc<RoleCredentials>> {
        (time_of_day() < self.credentials.expires).then(|| Arc::clone(&self.credentials))
    }
}

//! How many connections one proxy serves, and how long it waits.

use std::time::Duration;

use super::Reason;

/// The least limit of pending connections, however low `max_connections` is.
const MIN_PENDING: usize = 256;

/// Bounds of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once, those that are logging in included.
    pub max_connections: usize,
    /// The same from one IP address.
    pub max_connections_per_peer: Option<usize>,
    /// Logins at one target that are under way at once; more wait for their turn.
    pub max_logins_per_target: usize,
    /// The same from one IP address, at all targets together.
    pub max_logins_per_peer: usize,
    /// From accept until the session is ready, without the time in which the application answers a password request.
    pub handshake_timeout: Duration,
    /// To reach the hop, all its addresses together. A tunnel has what is left of the handshake.
    pub connect_timeout: Duration,
    /// A session without a byte in either direction for this long is ended.
    pub idle_timeout: Option<Duration>,
    /// The query of an application that vanished is cancelled.
    pub cancel_on_disconnect: bool,
}

/// A login had no turn within its time.
#[derive(Debug, thiserror::Error)]
#[error(
    "there are too many logins under way: {} of this proxy is {limit}, and this login waited {:.1} s for its turn",
    reason.name(),
    waited.as_secs_f32()
)]
pub struct TooManyLogins {
    /// The key of the limit, `max_logins_per_target` or `max_logins_per_peer`.
    pub reason: Reason,
    /// The limit.
    pub limit: usize,
    /// How long the login waited.
    pub waited: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            max_connections_per_peer: None,
            max_logins_per_target: 32,
            max_logins_per_peer: 64,
            handshake_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: None,
            cancel_on_disconnect: false,
        }
    }
}

impl Limits {
    /// How many connections may be pending at once. With as many as there may be sessions, all clients can reconnect at once.
    pub(super) fn pending(&self) -> usize {
        self.max_connections.max(MIN_PENDING)
    }

    /// How many files connections may hold open: one for each pending connection, two for each session.
    #[must_use]
    pub fn files(&self) -> usize {
        self.max_connections.saturating_mul(2).saturating_add(self.pending())
    }
}

//! The time limits of a tunnel.

use std::time::Duration;

/// The time limits of a tunnel. The defaults fit real clusters; tests use shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a ready pod, where there is none.
    pub wait_for_pod: Duration,
    /// Between two lists of the pods during that wait.
    pub retry_interval: Duration,
    /// For a right that the API server refuses: one that has just started knows no roles for a moment.
    pub wait_for_right: Duration,
    /// For one response of the API server.
    pub answer: Duration,
    /// For the credential plugin of the kubeconfig.
    pub plugin: Duration,
    /// The age at which credentials of a plugin are renewed. EKS tokens live for 14 minutes.
    pub renew_after: Duration,
    /// For a pod that accepted a stream and refuses it after all. Each connection waits that long; a later refusal is reported
    /// by the stream, and the next connection is more careful.
    pub late_refusal: Duration,
    /// The same for a pod that is not ready, and after a late refusal: it probably refuses.
    pub late_refusal_unready: Duration,
    /// Between two pings. The path is dead after two more intervals in which nothing arrived.
    pub ping_interval: Duration,
    /// For more data from the pod after the local side closed. The protocol cannot pass that close on, so the pod may
    /// never close.
    pub linger: Duration,
    /// For the next connection, on a stream that was opened in advance. Connections that follow each other more slowly have none;
    /// zero turns it off. A server counts this time as part of the login.
    pub spare_stream: Duration,
}

impl Timeouts {
    /// The same for a dial that ends within `limit`: each wait ends early enough to report what was missing. A stream
    /// takes two responses at least, so each gets less than half of the limit.
    pub(super) fn within(&self, limit: Duration) -> Self {
        Self {
            wait_for_pod: self.wait_for_pod.min(limit),
            wait_for_right: self.wait_for_right.min(limit / 2),
            answer: self.answer.min(limit * 2 / 5),
            plugin: self.plugin.min(limit * 9 / 10),
            ..*self
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            wait_for_pod: Duration::from_secs(15),
            wait_for_right: Duration::from_secs(5),
            retry_interval: Duration::from_millis(500),
            answer: Duration::from_secs(5),
            plugin: Duration::from_secs(12),
            renew_after: Duration::from_mins(10),
            late_refusal: Duration::ZERO,
            late_refusal_unready: Duration::from_secs(1),
            ping_interval: Duration::from_secs(20),
            linger: Duration::from_secs(10),
            spare_stream: Duration::from_secs(3),
        }
    }
}

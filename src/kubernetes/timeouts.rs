//! How long a tunnel waits.

use std::time::Duration;

/// How long a tunnel waits. The default is right for real clusters; tests are in more of a hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// How long a connection waits for a pod when there is none.
    pub wait_for_pod: Duration,
    /// Between two looks for a pod.
    pub retry_interval: Duration,
    /// For one answer of the API server.
    pub answer: Duration,
    /// For the credential plugin of the kubeconfig.
    pub plugin: Duration,
    /// How long what the plugin gave is used before it is run again. Tokens of EKS live for 14 minutes.
    pub renew_after: Duration,
    /// How long a pod that accepted has to say that it refuses after all. It is spent on every connection.
    pub late_refusal: Duration,
    /// Between two pings; after two more of these without a sign of life the path is dead.
    pub ping_interval: Duration,
    /// How long a stream whose local side was shut down waits for more from the pod: the protocol cannot pass the end
    /// on, so the pod may never close.
    pub linger: Duration,
}

impl Timeouts {
    /// The same where all has to be over within `limit`: each wait ends early enough to say what was waited for. A
    /// stream takes two answers at least, so none can be waited for longer than half of it.
    pub(super) fn within(&self, limit: Duration) -> Self {
        Self {
            wait_for_pod: self.wait_for_pod.min(limit),
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
            retry_interval: Duration::from_millis(500),
            answer: Duration::from_secs(5),
            plugin: Duration::from_secs(12),
            renew_after: Duration::from_mins(10),
            late_refusal: Duration::from_millis(10),
            ping_interval: Duration::from_secs(20),
            linger: Duration::from_secs(10),
        }
    }
}

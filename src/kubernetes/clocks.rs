//! How long a tunnel waits.

use std::time::Duration;

/// How long a tunnel waits. The default is right for real clusters; tests are in more of a hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// How long a connection waits for a pod when there is none. The handshake of a session may take 15 s in all,
    /// of which this leaves a little for what comes after.
    pub wait_for_pod: Duration,
    /// For everything together, plugin and slow answers included. It ends before the handshake does, so that the
    /// application reads what is wrong with the cluster and not that time ran out.
    pub in_all: Duration,
    /// Between two looks for a pod.
    pub pause: Duration,
    /// For one answer of the API server.
    pub answer: Duration,
    /// For the credential plugin of the kubeconfig.
    pub plugin: Duration,
    /// How long what the plugin gave is used before it is run again. Tokens of EKS live for 14 minutes.
    pub renewal: Duration,
    /// How long a pod that accepted has to say that it refuses after all. It is spent on every connection.
    pub second_thoughts: Duration,
    /// Between two pings; after two more of these without a sign of life the path is dead.
    pub ping: Duration,
    /// How long a stream whose local side was shut down waits for more from the pod: the protocol cannot pass the end
    /// on, so the pod may never close.
    pub linger: Duration,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            wait_for_pod: Duration::from_secs(13),
            in_all: Duration::from_secs(14),
            pause: Duration::from_millis(500),
            answer: Duration::from_secs(5),
            plugin: Duration::from_secs(12),
            renewal: Duration::from_mins(10),
            second_thoughts: Duration::from_millis(10),
            ping: Duration::from_secs(20),
            linger: Duration::from_secs(10),
        }
    }
}

//! An upstream proxy that is reached through the Kubernetes API: what the configuration says and the tunnel needs.

use std::fmt;
use std::path::PathBuf;

/// What the Kubernetes API has to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// The kubeconfig file; absent: `$KUBECONFIG`, `~/.kube/config`, or the service account, as Kubernetes tools do.
    pub kube_config: Option<PathBuf>,
    /// The context in it; absent: its current one.
    pub context: Option<String>,
    /// The namespace of the pods; absent: that of the context.
    pub namespace: Option<String>,
    /// Which pods.
    pub pods: Pods,
    /// The local port that the Go program opened for the tunnel; absent where none is asked for.
    pub local_port: Option<u16>,
    /// The port in the pod.
    pub remote_port: u16,
}

/// Which pods a tunnel may end in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pods {
    /// Those with the label `app.kubernetes.io/name` of this value.
    Deployment(String),
    /// Those a label selector matches, such as `app=proxy,tier!=test`.
    Selector(String),
    /// Those a Service selects. To look it up takes the right to get services.
    Service(String),
}

impl fmt::Display for Pods {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment(name) => write!(formatter, "deployment {name}"),
            Self::Selector(selector) => write!(formatter, "selector {selector}"),
            Self::Service(name) => write!(formatter, "service {name}"),
        }
    }
}

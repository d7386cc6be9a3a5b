//! The settings of a tunnel through the Kubernetes API to an upstream proxy.

use std::fmt;
use std::path::PathBuf;

/// Which pods to reach, through which cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// The kubeconfig file; absent: `$KUBECONFIG`, `~/.kube/config`, or the service account, as kubectl does.
    pub kube_config: Option<PathBuf>,
    /// The context in it; absent: its current one.
    pub context: Option<String>,
    /// The namespace of the pods; absent: that of the context.
    pub namespace: Option<String>,
    /// Which pods.
    pub pods: Pods,
    /// The local port that the Go program opened for the tunnel, where configured.
    pub local_port: Option<u16>,
    /// The port in the pod.
    pub remote_port: u16,
}

/// Which pods a tunnel may end in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pods {
    /// Pods with the label `app.kubernetes.io/name` of this value.
    Deployment(String),
    /// Pods that a label selector matches, such as `app=proxy,tier!=test`.
    Selector(String),
    /// Pods that a Service selects. It needs the permission to get services.
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

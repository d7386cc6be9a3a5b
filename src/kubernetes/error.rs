//! The reasons why there is no stream to a pod. The application reads the texts, so each names a remedy.

use std::io;
use std::time::Duration;

use crate::catalog::Hinted;

/// Why there is no stream to a pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TunnelError {
    #[error("there is no kubeconfig; set port_forward.kube_config or KUBECONFIG, or create ~/.kube/config")]
    NoKubeconfig,
    #[error("the kubeconfig cannot be used: {reason}")]
    Kubeconfig { reason: String },
    #[error(
        "the kubeconfig has no context \"{context}\"; it has: {known}; set port_forward.context to one of them"
    )]
    NoContext { context: String, known: String },
    #[error(
        "the kubeconfig has no current context; run `kubectl config use-context NAME` or set port_forward.context"
    )]
    NoCurrentContext,
    #[error(
        "the credential plugin \"{command}\" of the kubeconfig cannot be started ({reason}); install it or put it on the PATH"
    )]
    PluginMissing { command: String, reason: String },
    #[error(
        "the credential plugin \"{command}\" of the kubeconfig failed: {reason}; log in to the cluster so that `kubectl get pods` works in a terminal, then connect again"
    )]
    PluginFailed { command: String, reason: String },
    #[error(
        "the credential plugin of the kubeconfig has not answered for {} s and may be waiting for a login; run `kubectl get pods` in a terminal and log in, then connect again", .after.as_secs()
    )]
    PluginSilent { after: Duration, printed: Option<String> },
    #[error(
        "the API server {server} cannot be reached: {reason}; check the network, the VPN and the kubeconfig"
    )]
    Unreachable { server: String, reason: String, retry: Retry },
    #[error(
        "the API server {server} does not accept the credentials of the kubeconfig (401), which may have expired; log in to the cluster so that `kubectl get pods` works in a terminal, then connect again"
    )]
    Unauthorized { server: String },
    #[error(
        "the API server {server} does not accept the client certificate of the kubeconfig, which expired on {date}; renew it, or log in to the cluster so that `kubectl get pods` works in a terminal, then connect again"
    )]
    CertificateExpired { server: String, date: String },
    #[error(
        "Kubernetes does not let {user} {verb} {} in namespace {namespace}; its role there lacks the rule {{apiGroups: [\"\"], resources: [\"{}\"], verbs: {}}}, which the Helm chart grants by {}", rule.resource, rule.resource, rule.verbs, rule.values
    )]
    Forbidden { user: String, verb: String, namespace: String, rule: Rule },
    #[error(
        "Kubernetes denies a port-forward to pod {pod}: {reason}; RBAC allows it, so ask for an exception from the admission policy that denies it"
    )]
    Denied { pod: String, reason: String },
    #[error(
        "no pod was reached within {} s; the credential plugin of the kubeconfig or the API server is slow: see how long `kubectl get pods` takes in a terminal, then connect again", .after.as_secs()
    )]
    Slow { after: Duration },
    #[error("the API server {server} refuses the request: {reason}")]
    Refused { server: String, reason: String },
    #[error("the API server {server} is busy: {reason}; try again in a moment")]
    Busy { server: String, reason: String },
    #[error(
        "the API server {server} answers without a websocket ({reason}); configure the proxy on the path to allow websockets"
    )]
    NoWebsocket { server: String, reason: String },
    #[error(
        "there is no service \"{service}\" in namespace {namespace}; check port_forward.service and namespace"
    )]
    NoService { service: String, namespace: String },
    #[error("the service \"{service}\" in namespace {namespace} selects no pods; use port_forward.selector")]
    ServiceWithoutSelector { service: String, namespace: String },
    #[error(
        "there is no pod with {labels} in namespace {namespace} of {server}; check that the deployment exists there, and port_forward's deployment, namespace and context"
    )]
    NoPod { labels: String, namespace: String, server: String },
    #[error(
        "no pod with {labels} in namespace {namespace} is ready: {states}; see `kubectl -n {namespace} describe pods -l {labels}`"
    )]
    NotReady { labels: String, namespace: String, states: String },
    #[error("pod {pod} is gone; connect again")]
    PodGone { pod: String },
    #[error("pod {pod} cannot be reached through its node: {reason}")]
    PodUnreachable { pod: String, reason: String },
    #[error(
        "pod {pod} refuses connections on port {port}: {reason}; check that port_forward.remote_port is where the proxy in the pod listens"
    )]
    PortRefused { pod: String, port: u16, reason: String },
}

/// A rule of a role that the tunnel needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) resource: &'static str,
    /// The verbs, as a YAML list.
    pub(super) verbs: &'static str,
    /// The values of the Helm chart with which its role has this rule.
    pub(super) values: &'static str,
}

/// When a failed attempt is worth another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// Only after the user has fixed what the text names.
    Never,
    /// Once, immediately, on a new connection.
    Once,
    /// After pauses, for a few seconds: an API server that has just started does not know its roles yet.
    Briefly,
    /// Once, immediately, with credentials that are read again.
    WithNewCredentials,
    /// Immediately with the next pod; after the last pod as `AfterPause`.
    WithNextPod,
    /// After a pause, for as long as a connection waits for a pod.
    AfterPause,
}

impl TunnelError {
    pub(super) fn retry(&self) -> Retry {
        match self {
            Self::NoKubeconfig
            | Self::Kubeconfig { .. }
            | Self::NoContext { .. }
            | Self::NoCurrentContext
            | Self::PluginMissing { .. }
            | Self::PluginFailed { .. }
            | Self::PluginSilent { .. }
            | Self::Slow { .. }
            | Self::Refused { .. }
            | Self::NoWebsocket { .. }
            | Self::NoService { .. }
            | Self::ServiceWithoutSelector { .. } => Retry::Never,
            Self::Unreachable { retry, .. } => *retry,
            Self::Forbidden { .. } | Self::Denied { .. } => Retry::Briefly,
            Self::Unauthorized { .. } | Self::CertificateExpired { .. } => Retry::WithNewCredentials,
            Self::PodGone { .. } | Self::PodUnreachable { .. } | Self::PortRefused { .. } => {
                Retry::WithNextPod
            }
            Self::Busy { .. } | Self::NoPod { .. } | Self::NotReady { .. } => Retry::AfterPause,
        }
    }

    /// The label `outcome` of the metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::NoKubeconfig
            | Self::Kubeconfig { .. }
            | Self::NoContext { .. }
            | Self::NoCurrentContext => "kubeconfig",
            Self::PluginMissing { .. } | Self::PluginFailed { .. } | Self::PluginSilent { .. } => {
                "credential_plugin"
            }
            Self::Unauthorized { .. } | Self::CertificateExpired { .. } => "unauthorized",
            Self::Forbidden { .. } | Self::Denied { .. } => "forbidden",
            Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::Busy { .. }
            | Self::NoWebsocket { .. } => "api_server",
            Self::Slow { .. } => "slow",
            Self::NoService { .. } | Self::ServiceWithoutSelector { .. } | Self::NoPod { .. } => "no_pod",
            Self::NotReady { .. } => "not_ready",
            Self::PodGone { .. } | Self::PodUnreachable { .. } => "pod_unreachable",
            Self::PortRefused { .. } => "port_refused",
        }
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::PluginSilent { .. } | Self::Slow { .. } => io::ErrorKind::TimedOut,
            Self::Unauthorized { .. }
            | Self::CertificateExpired { .. }
            | Self::Forbidden { .. }
            | Self::Denied { .. }
            | Self::PluginFailed { .. } => io::ErrorKind::PermissionDenied,
            Self::PortRefused { .. } => io::ErrorKind::ConnectionRefused,
            Self::NoPod { .. } | Self::NoService { .. } | Self::NoContext { .. } | Self::NoKubeconfig => {
                io::ErrorKind::NotFound
            }
            // A later attempt cannot help.
            Self::Kubeconfig { .. }
            | Self::NoCurrentContext
            | Self::PluginMissing { .. }
            | Self::NoWebsocket { .. }
            | Self::ServiceWithoutSelector { .. } => io::ErrorKind::InvalidInput,
            Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::Busy { .. }
            | Self::NotReady { .. }
            | Self::PodGone { .. }
            | Self::PodUnreachable { .. } => io::ErrorKind::Other,
        }
    }

    /// What the application reads beside the text.
    fn hint(&self) -> Option<String> {
        let Self::PluginSilent { printed: Some(printed), .. } = self else { return None };
        Some(format!("The plugin has printed: {printed}"))
    }
}

impl From<TunnelError> for io::Error {
    fn from(error: TunnelError) -> Self {
        if let Some(hint) = error.hint() {
            return Hinted::into_error(error.kind(), error.to_string(), hint);
        }
        Self::new(error.kind(), error)
    }
}

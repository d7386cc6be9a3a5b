//! The client for the API of the cluster. It is built when first needed, and again when its credentials expire.

use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};

use kube::Client;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::connector;
use super::error::TunnelError;
use super::explain::client_error;
use super::kubeconfig::{Stamps, load, stamps};
use super::timeouts::Timeouts;
use crate::catalog::PortForward;

/// A client for the API, and what requests and error texts need to know about the cluster.
pub(super) struct Access {
    pub(super) client: Client,
    pub(super) namespace: String,
    /// `https://HOST:PORT` of the API server, for texts.
    pub(super) server: String,
    /// The command of the credential plugin, for texts.
    pub(super) plugin: Option<String>,
    /// Whether TLS or the loopback address proves that the API server is the right one.
    verified: bool,
    /// Wall-clock time, which goes on while a laptop sleeps.
    built: SystemTime,
}

/// One cluster, with the credentials that were loaded last.
pub(super) struct Cluster {
    settings: PortForward,
    renew_after: Duration,
    /// Logs the warning about an unverified API server at most once.
    unverified: Once,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: Option<(Stamps, Arc<Access>)>,
    /// Outlives the connection that started it: a plugin cannot be stopped, and two must not run at a time.
    building: Option<(Stamps, JoinHandle<Result<Access, TunnelError>>)>,
    failed: Option<(Instant, TunnelError)>,
}

impl Cluster {
    /// `renew_after` is the age at which credentials of a plugin are renewed.
    pub(super) fn new(settings: PortForward, renew_after: Duration) -> Self {
        Self { settings, renew_after, unverified: Once::new(), state: Mutex::default() }
    }

    /// Never warns about an unverified API server. For tunnels with verified TLS inside.
    pub(super) fn suppress_warning(&self) {
        self.unverified.call_once(|| {});
    }

    /// The current client, or a new one if the kubeconfig has changed or the plugin's credentials are about to expire.
    /// All connections that wait for a new client share it.
    pub(super) async fn access(&self, timeouts: &Timeouts) -> Result<Arc<Access>, TunnelError> {
        let start = Instant::now();
        let mut state = self.state.lock().await;
        let seen = stamps(&self.settings).await;
        if let Some((read, access)) = &state.ready
            && *read == seen
            && !self.is_stale(access)
        {
            return Ok(Arc::clone(access));
        }
        if let Some((at, error)) = &state.failed
            && *at > start
        {
            return Err(error.clone());
        }
        let built = self.build(&mut state, seen, timeouts.plugin).await;
        if let Err(error) = &built {
            state.failed = Some((Instant::now(), error.clone()));
        }
        built
    }

    /// Drops the client that the API server refused, unless it has been replaced since.
    pub(super) async fn forget(&self, refused: &Arc<Access>) {
        let mut state = self.state.lock().await;
        if state.ready.as_ref().is_some_and(|(_, access)| Arc::ptr_eq(access, refused)) {
            debug!("the API server refused the credentials of the kubeconfig; reading them again");
            state.ready = None;
        }
    }

    /// The client library renews credentials too, but within a request, which has less time than the plugin may need.
    fn is_stale(&self, access: &Access) -> bool {
        access.plugin.is_some() && access.built.elapsed().is_ok_and(|age| age >= self.renew_after)
    }

    async fn build(
        &self,
        state: &mut State,
        seen: Stamps,
        limit: Duration,
    ) -> Result<Arc<Access>, TunnelError> {
        let begin = || (seen, spawn_blocking(build_access(self.settings.clone())));
        let (read, building) = state.building.get_or_insert_with(begin);
        let read = read.clone();
        let Ok(built) = timeout(limit, building).await else {
            return Err(TunnelError::PluginSilent { after: limit });
        };
        state.building = None;
        let crashed = |error| Err(TunnelError::Kubeconfig { reason: format!("reading it failed: {error}") });
        let access = Arc::new(built.unwrap_or_else(crashed)?);
        if !access.verified {
            self.unverified.call_once(|| warn_unverified(&access.server));
        }
        state.ready = Some((read, Arc::clone(&access)));
        Ok(access)
    }
}

fn warn_unverified(server: &str) {
    warn!(
        server,
        "neither the API server nor the upstream proxy behind it is verified, so an impostor of either receives the IAM \
         tokens; remove insecure-skip-tls-verify and http:// from the kubeconfig, or set ssl.mode to verify-full"
    );
}

/// Loads the kubeconfig and builds the client. It reads files and runs the credential plugin, so it needs a thread that
/// may block.
fn build_access(settings: PortForward) -> impl FnOnce() -> Result<Access, TunnelError> + Send + 'static {
    move || {
        let cluster = Handle::current().block_on(load(&settings))?;
        let server = cluster.config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = settings.namespace.unwrap_or_else(|| cluster.config.default_namespace.clone());
        let client = connector::client(cluster.config, cluster.proxy.as_deref());
        let client = client.map_err(|error| client_error(&error, cluster.plugin.as_deref()))?;
        let (plugin, verified) = (cluster.plugin, cluster.verified);
        Ok(Access { client, namespace, server, plugin, verified, built: SystemTime::now() })
    }
}

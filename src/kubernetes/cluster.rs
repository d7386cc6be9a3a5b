//! The client for the cluster: built when it is first needed, and again when its credentials went bad.

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
use super::kubeconfig::{Stamps, find, stamps};
use super::timeouts::Timeouts;
use crate::catalog::PortForward;

/// What requests are sent with.
pub(super) struct Access {
    pub(super) client: Client,
    pub(super) namespace: String,
    /// `https://HOST:PORT` of the API server, for people to read.
    pub(super) server: String,
    /// The credential plugin, for people to read.
    pub(super) plugin: Option<String>,
    /// Whether nobody else can answer for the API server.
    verified: bool,
    /// By the clock on the wall, which goes on while a laptop sleeps.
    built: SystemTime,
}

/// One cluster, with the one set of credentials that was found for it last.
pub(super) struct Cluster {
    settings: PortForward,
    renew_after: Duration,
    /// Has to be said once, where it matters.
    unverified: Once,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: Option<(Stamps, Arc<Access>)>,
    /// Outlives the connection that began it: a plugin cannot be stopped, and must not be started twice at a time.
    building: Option<(Stamps, JoinHandle<Result<Access, TunnelError>>)>,
    failed: Option<(Instant, TunnelError)>,
}

impl Cluster {
    /// `renew_after` is how long what a plugin gave is used.
    pub(super) fn new(settings: PortForward, renew_after: Duration) -> Self {
        Self { settings, renew_after, unverified: Once::new(), state: Mutex::default() }
    }

    /// Somebody else makes sure who answers: no word about an API server that is not verified.
    pub(super) fn be_quiet(&self) {
        self.unverified.call_once(|| {});
    }

    /// The client as it is, unless the kubeconfig was changed or the plugin's credentials are about to expire; else a
    /// new one, for all who wait for it.
    pub(super) async fn access(&self, timeouts: &Timeouts) -> Result<Arc<Access>, TunnelError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        let seen = stamps(&self.settings).await;
        if let Some((read, access)) = &state.ready
            && *read == seen
            && !self.is_stale(access)
        {
            return Ok(Arc::clone(access));
        }
        if let Some((at, error)) = &state.failed
            && *at > asked
        {
            return Err(error.clone());
        }
        let built = self.build(&mut state, seen, timeouts.plugin).await;
        if let Err(error) = &built {
            state.failed = Some((Instant::now(), error.clone()));
        }
        built
    }

    /// Has the credentials read anew, unless somebody else did meanwhile.
    pub(super) async fn forget(&self, refused: &Arc<Access>) {
        let mut state = self.state.lock().await;
        if state.ready.as_ref().is_some_and(|(_, access)| Arc::ptr_eq(access, refused)) {
            debug!("the credentials of the kubeconfig were refused; reading them anew");
            state.ready = None;
        }
    }

    /// The client would run the plugin by itself, but in the middle of a request that has little time.
    fn is_stale(&self, access: &Access) -> bool {
        access.plugin.is_some() && access.built.elapsed().is_ok_and(|age| age >= self.renew_after)
    }

    async fn build(
        &self,
        state: &mut State,
        seen: Stamps,
        limit: Duration,
    ) -> Result<Arc<Access>, TunnelError> {
        let begin = || (seen, spawn_blocking(building(self.settings.clone())));
        let (read, building) = state.building.get_or_insert_with(begin);
        let read = read.clone();
        let Ok(built) = timeout(limit, building).await else {
            return Err(TunnelError::PluginSilent { after: limit });
        };
        state.building = None;
        let crashed = |error| Err(TunnelError::Kubeconfig { reason: format!("reading it failed: {error}") });
        let access = Arc::new(built.unwrap_or_else(crashed)?);
        if !access.verified {
            self.unverified.call_once(|| warn_of(&access.server));
        }
        state.ready = Some((read, Arc::clone(&access)));
        Ok(access)
    }
}

fn warn_of(server: &str) {
    warn!(
        server,
        "neither the API server nor the upstream proxy behind it is verified, so whoever answers in their place gets the \
         IAM tokens; take insecure-skip-tls-verify and http:// out of the kubeconfig, or set ssl.mode to verify-full"
    );
}

/// Reads files and runs the credential plugin, so it is for a thread that may block.
fn building(settings: PortForward) -> impl FnOnce() -> Result<Access, TunnelError> + Send + 'static {
    move || {
        let found = Handle::current().block_on(find(&settings))?;
        let server = found.config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = settings.namespace.unwrap_or_else(|| found.config.default_namespace.clone());
        let client = connector::client(found.config, found.proxy.as_deref());
        let client = client.map_err(|error| client_error(&error, found.plugin.as_deref()))?;
        let (plugin, verified) = (found.plugin, found.verified);
        Ok(Access { client, namespace, server, plugin, verified, built: SystemTime::now() })
    }
}

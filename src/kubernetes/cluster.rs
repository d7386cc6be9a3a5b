//! The client for the API of the cluster. It is built when first needed, and again when its credentials expire.

use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime};

use kube::Client;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::connector;
use super::error::TunnelError;
use super::explain::client_error;
use super::kubeconfig::{ClusterConfig, Stamps, load, stamps};
use super::plugin_process::{Plugin, Runner};
use super::timeouts::Timeouts;
use crate::catalog::PortForward;
use crate::single_flight::{FlightError, SingleFlight};
use crate::stamp::Stamp;

/// Credentials of a plugin with less time left than this are renewed.
const MIN_REMAINING: Duration = Duration::from_mins(1);

/// A shorter sleep kills no connection.
const SLEEP: Duration = Duration::from_secs(20);

/// A client for the API, and what requests and error texts need to know about the cluster.
pub(super) struct Access {
    pub(super) client: Client,
    pub(super) namespace: String,
    /// `https://HOST:PORT` of the API server, for texts.
    pub(super) server: String,
    /// The command of the credential plugin, for texts.
    pub(super) plugin: Option<String>,
    /// Whether TLS or the loopback address proves that the API server is the right one.
    pub(super) verified: bool,
    /// When the credentials of the plugin expire, if it says so.
    expires: Option<SystemTime>,
    /// When the client certificate expires, if there is one.
    pub(super) certificate_expires: Option<SystemTime>,
    /// The `tokenFile` of the kubeconfig, with its stamp from before it was read.
    token_file: Option<(PathBuf, Stamp)>,
    /// Wall-clock time, which goes on while a laptop sleeps.
    built: SystemTime,
}

/// One cluster, with the credentials that were loaded last.
pub(super) struct Cluster {
    settings: PortForward,
    renew_after: Duration,
    /// One at a time, because a plugin cannot be stopped and may be waiting for a login.
    builds: SingleFlight<Result<Arc<Access>, TunnelError>>,
    built: Arc<Built>,
    /// It ends with this.
    plugin: Plugin,
    /// When a client was last needed: on the clock that goes on while a laptop sleeps, and on the one that does not.
    needed: Mutex<(SystemTime, Instant)>,
}

/// The result of the last successful build.
struct Built {
    /// The client, and the stamps of the kubeconfig files from which it was built.
    ready: Mutex<Option<(Stamps, Arc<Access>)>>,
    /// Logs the warning about an unverified API server at most once.
    unverified: Once,
}

impl Cluster {
    /// `renew_after` is the age at which credentials of a plugin are renewed.
    pub(super) fn new(settings: PortForward, renew_after: Duration) -> Self {
        let built = Built { ready: Mutex::default(), unverified: Once::new() };
        let needed = Mutex::new((SystemTime::now(), Instant::now()));
        Self {
            settings,
            renew_after,
            builds: SingleFlight::default(),
            built: Arc::new(built),
            plugin: Plugin::default(),
            needed,
        }
    }

    /// Never warns about an unverified API server. For tunnels with verified TLS inside.
    pub(super) fn suppress_warning(&self) {
        self.built.unverified.call_once(|| {});
    }

    /// The current client, or a new one if the kubeconfig has changed or the plugin's credentials are about to expire.
    /// All connections that wait for a new client share it.
    pub(super) async fn access(&self, timeouts: &Timeouts) -> Result<Arc<Access>, TunnelError> {
        if self.slept() {
            debug!("this machine has slept; its connections to the API server may be dead");
            *self.built.ready.lock() = None;
        }
        let (seen, token_file) = stamps(&self.settings, self.built.token_file()).await;
        let build = {
            let ready = self.built.ready.lock();
            if let Some((read, access)) = &*ready
                && *read == seen
                && !access.has_old_token(token_file)
                && !self.is_stale(access)
            {
                return Ok(Arc::clone(access));
            }
            let (settings, built) = (self.settings.clone(), Arc::clone(&self.built));
            let runner = self.plugin.runner();
            // Still under the lock: otherwise a build could end in between and be started a second time.
            self.builds.join_or_start(|| spawn_blocking(move || built.build(settings, seen, &runner)))
        };
        match timeout(timeouts.plugin, build.result()).await {
            Ok(ended) => ended.unwrap_or_else(|error| Err(crashed(&error))),
            Err(_) => {
                Err(TunnelError::PluginSilent { after: timeouts.plugin, printed: self.plugin.printed() })
            }
        }
    }

    /// Drops the client that the API server refused, unless it has been replaced since.
    pub(super) fn forget(&self, refused: &Arc<Access>) {
        let mut ready = self.built.ready.lock();
        if ready.as_ref().is_some_and(|(_, access)| Arc::ptr_eq(access, refused)) {
            debug!("the API server refused the credentials of the kubeconfig; reading them again");
            *ready = None;
        }
    }

    /// Whether this machine has slept since the last call. Windows counts the sleep on both clocks; there the pool has dropped
    /// its connections.
    fn slept(&self) -> bool {
        let now = (SystemTime::now(), Instant::now());
        let (wall_clock, awake) = std::mem::replace(&mut *self.needed.lock(), now);
        let passed = now.0.duration_since(wall_clock).unwrap_or_default();
        passed > now.1.duration_since(awake) + SLEEP
    }

    /// The client library renews credentials too, but within a request, which has less time than the plugin may need.
    fn is_stale(&self, access: &Access) -> bool {
        let soon = SystemTime::now() + MIN_REMAINING;
        access.expires.is_some_and(|expires| expires <= soon)
            || access.plugin.is_some() && access.built.elapsed().is_ok_and(|age| age >= self.renew_after)
    }
}

impl Access {
    /// Whether the `tokenFile` has changed. Like kubectl, a file that has vanished leaves its last token in use.
    fn has_old_token(&self, seen: Option<Stamp>) -> bool {
        let read = self.token_file.as_ref().map(|(_, stamp)| *stamp);
        seen.is_some_and(|seen| seen != Stamp::default()) && seen != read
    }
}

impl Built {
    fn token_file(&self) -> Option<PathBuf> {
        let ready = self.ready.lock();
        ready.as_ref().and_then(|(_, access)| Some(access.token_file.as_ref()?.0.clone()))
    }

    /// Builds a client and keeps it. Reads files and runs the credential plugin, so it needs a thread that may block.
    fn build(
        &self,
        settings: PortForward,
        seen: Stamps,
        runner: &Runner,
    ) -> Result<Arc<Access>, TunnelError> {
        let access = Arc::new(build_access(settings, runner)?);
        if !access.verified {
            self.unverified.call_once(|| warn_unverified(&access.server));
        }
        *self.ready.lock() = Some((seen, Arc::clone(&access)));
        Ok(access)
    }
}

fn crashed(error: &FlightError) -> TunnelError {
    TunnelError::Kubeconfig { reason: format!("reading it failed: {error}") }
}

fn warn_unverified(server: &str) {
    warn!(
        server,
        "neither the API server nor the upstream proxy behind it is verified, so an impostor of either receives the IAM \
         tokens; remove insecure-skip-tls-verify and http:// from the kubeconfig, or set ssl.mode to verify-full"
    );
}

fn build_access(settings: PortForward, runner: &Runner) -> Result<Access, TunnelError> {
    let cluster = Handle::current().block_on(load(&settings, runner))?;
    let server = cluster.config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let namespace = settings.namespace.unwrap_or_else(|| cluster.config.default_namespace.clone());
    let client = connector::client(cluster.config, cluster.proxy.as_deref());
    let client = client.map_err(|error| client_error(&error, cluster.plugin.as_deref()))?;
    let ClusterConfig { plugin, expires, certificate_expires, token_file, verified, .. } = cluster;
    let built = SystemTime::now();
    Ok(Access {
        client,
        namespace,
        server,
        plugin,
        verified,
        expires,
        certificate_expires,
        token_file,
        built,
    })
}

//! The admin listener, and what the service manager is told.

use std::sync::Arc;

#[cfg(target_os = "linux")]
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::failure::Failure;
use crate::admin::{self, Admin, Certificates, Health, Recorder};
use crate::catalog::{self, Directory};
use crate::config::Config;
use crate::kubernetes;
use crate::net::{Address, Listener};
use crate::session::metrics;
use crate::shutdown::Shutdown;

/// Starts to count, where somebody will ask; before anything that is worth counting happens.
pub(super) fn recorder(config: &Config) -> Result<Option<Recorder>, Failure> {
    if config.admin.is_none() {
        return Ok(None);
    }
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("RDS_AUTH_PROXY_BUILD_COMMIT"));
    let recorder =
        Recorder::install(version, commit, metrics::HANDSHAKE_SECONDS).map_err(Failure::runtime)?;
    metrics::describe();
    catalog::describe();
    kubernetes::describe();
    Ok(Some(recorder))
}

/// Answers on the admin address from now on, where there is one; readiness depends on the directory, where there is one.
/// Returns the certificate files whose end is watched.
pub(super) async fn admin(
    config: &Config,
    recorder: Option<Recorder>,
    directory: Option<&Arc<Directory>>,
    shutdown: &Shutdown,
) -> Result<Certificates, Failure> {
    let certificates = Certificates::default();
    certificates.watch(config.certificates());
    let (Some(address), Some(recorder)) = (&config.admin, recorder) else { return Ok(certificates) };
    if let Address::Unix(_) = address {
        return Err(Failure::usage(
            "proxy.admin_addr has to be HOST:PORT; probes cannot reach a Unix socket",
        ));
    }
    let failed = |error| Failure::Runtime(format!("cannot listen on the admin_addr {address}: {error}"));
    let listener = Listener::bind(address).await.map_err(failed)?;
    info!(admin_addr = %listener.address().map_err(failed)?, "answering probes");
    let health = Health {
        directory: directory.cloned(),
        shutdown: shutdown.clone(),
        certificates: certificates.clone(),
    };
    let admin = Admin { health, recorder };
    tokio::spawn(admin::serve(listener, admin, CancellationToken::new()));
    Ok(certificates)
}

/// Tells systemd that the service is up, and from then on that it is alive (`sd_notify(3)`); elsewhere nobody asks.
#[cfg(target_os = "linux")]
pub(super) fn ready() {
    tell(NotifyState::Ready);
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else { return };
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(limit / 2);
        loop {
            beat.tick().await;
            tell(NotifyState::Watchdog);
        }
    });
}

/// Tells systemd that the service begins to stop.
#[cfg(target_os = "linux")]
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Without systemd there is no socket to tell it to, which is no error.
#[cfg(target_os = "linux")]
fn tell(state: NotifyState<'_>) {
    drop(sd_notify::notify(&[state]));
}

#[cfg(not(target_os = "linux"))]
pub(super) fn ready() {}

#[cfg(not(target_os = "linux"))]
pub(super) fn stopping() {}

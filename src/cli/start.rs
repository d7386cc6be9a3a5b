//! What both modes put together: configuration, discovery, the listener and the engine behind it.

use std::path::Path;
use std::sync::Arc;

use tracing::{info, warn};

use super::failure::Failure;
use super::stop;
use crate::aws::Aws;
use crate::config::{self, Config, Mode, Stop};
use crate::net::{Address, Listener};
use crate::session::{Engine, Role, serve};
use crate::shutdown::Shutdown;
use crate::target::{Directory, Discover, Policy};
use crate::tls::Acceptor;

/// Reads the configuration file.
pub(super) fn configuration(path: Option<&Path>, mode: Mode) -> Result<Config, Failure> {
    let path = config::find(path).map_err(Failure::usage)?;
    config::load(&path, mode).map_err(Failure::usage)
}

/// The AWS edge; absent where `rds.enabled` is false.
pub(super) async fn aws(config: &Config) -> Option<Aws> {
    if config.rds.enabled { Some(Aws::load().await) } else { None }
}

/// The directory, after a first discovery. Where that fails, static targets go on working; without any of them it is
/// an error, unless `patient`: a server tries again every minute and for every unknown host.
pub(super) async fn directory(
    config: &Config,
    aws: Option<&Aws>,
    patient: bool,
) -> Result<Arc<Directory>, Failure> {
    let may_fail = patient || !config.targets.is_empty();
    let discover: Option<Arc<dyn Discover>> = match aws.map(|aws| aws.discovery(&config.rds.regions)) {
        None => None,
        Some(Ok(discovery)) => Some(Arc::new(discovery)),
        Some(Err(error)) if !config.targets.is_empty() => {
            warn!(%error, "RDS databases are not discovered; only the targets of the configuration can be used");
            None
        }
        Some(Err(error)) => return Err(Failure::usage(error)),
    };
    let directory = Directory::new(policy(config), discover);
    match directory.refresh().await {
        Err(error) if !may_fail => return Err(Failure::runtime(error)),
        Err(error) => {
            warn!(%error, "discovery failed; only the targets of the configuration can be used for now");
        }
        Ok(()) => {}
    }
    Ok(Arc::new(directory))
}

/// What the configuration says about targets.
pub(super) fn policy(config: &Config) -> Policy {
    Policy { fixed: config.targets.clone(), acl: config.acl.clone(), tls: config.default_tls.clone() }
}

/// Binds, and says where.
pub(super) async fn listen(address: &Address) -> Result<(Listener, Address), Failure> {
    let failed = |error| Failure::Runtime(format!("cannot listen on {address}: {error}"));
    let listener = Listener::bind(address).await.map_err(failed)?;
    let bound = listener.address().map_err(failed)?;
    info!(address = %bound, "listening");
    Ok((listener, bound))
}

/// TLS towards applications, where it is on.
pub(super) fn acceptor(config: &Config) -> Result<Option<Acceptor>, Failure> {
    config.acceptor.clone().map(Acceptor::new).transpose().map_err(Failure::usage)
}

/// Serves until a signal, and until the last session has ended after it.
pub(super) async fn run<R: Role>(
    engine: Engine<R>,
    listener: Listener,
    stop: Stop,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let serving = serve(Arc::new(engine), listener, shutdown.clone());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return Ok(()),
        stopped = stop::on_signal(stop, shutdown) => {
            stopped.map_err(|error| Failure::Runtime(format!("signals cannot be received: {error}")))?;
        }
    }
    serving.await;
    Ok(())
}

//! What both modes put together: configuration, discovery, the listener and the engine behind it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

use super::failure::Failure;
use super::observe;
use super::signals::Signals;
use super::stop::on_signal;
use crate::aws::Aws;
use crate::catalog::{Directory, Discover, Policy};
use crate::config::{self, Config, ConfigError, Mode, Stop};
use crate::net::{Address, Listener};
use crate::session::{Engine, Role, serve};
use crate::shutdown::Shutdown;
use crate::stamp::Stamp;

/// How long the AWS configuration may take. It is files, and the metadata of the machine, which has a limit of its own.
const AWS_DEADLINE: Duration = Duration::from_secs(10);

/// A configuration file that was read.
pub(super) struct Loaded {
    pub(super) path: PathBuf,
    /// From before it was read: a change in between is seen again rather than never.
    pub(super) stamp: Stamp,
}

/// Reads the configuration file.
pub(super) fn configuration(path: Option<&Path>, mode: Mode) -> Result<(Loaded, Config), Failure> {
    find_and_read(path, |path| config::load(path, mode))
}

/// Finds the configuration file and reads it.
pub(super) fn find_and_read<T>(
    path: Option<&Path>,
    read: impl FnOnce(&Path) -> Result<T, ConfigError>,
) -> Result<(Loaded, T), Failure> {
    let named = path.is_some();
    let path = config::find(path).map_err(Failure::usage)?;
    let stamp = Stamp::of(&path);
    let config = read(&path).map_err(|error| {
        let found = "; this file was found, not named: --configfile takes another";
        Failure::Usage(format!("{error}{}", if named { "" } else { found }))
    })?;
    Ok((Loaded { path, stamp }, config))
}

/// Says in the log which file that was; the working directory may have one that somebody else wrote.
pub(super) fn announce(path: &Path) {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    info!(file = %whole.display(), "the configuration was loaded");
}

/// The AWS edge; absent where `rds.enabled` is false.
pub(super) async fn aws(config: &Config) -> Result<Option<Aws>, Failure> {
    if !config.rds.enabled {
        return Ok(None);
    }
    let loaded = timeout(AWS_DEADLINE, Aws::load(&config.rds.regions)).await;
    loaded.map(Some).map_err(|_| {
        Failure::Runtime(format!(
            "the AWS configuration could not be read within {} s; check that the files of AWS_CONFIG_FILE and \
             AWS_SHARED_CREDENTIALS_FILE, or else ~/.aws, can be read",
            AWS_DEADLINE.as_secs()
        ))
    })
}

/// The directory, which knows the targets of the configuration and has yet to list those of RDS.
pub(super) fn directory(config: &Config, aws: Option<&Aws>) -> Result<Arc<Directory>, Failure> {
    let discover: Option<Arc<dyn Discover>> = match aws.map(|aws| aws.discovery(&config.rds.regions)) {
        None => None,
        Some(Ok(discovery)) => Some(Arc::new(discovery)),
        Some(Err(error)) if !config.targets.is_empty() => {
            warn!(%error, "RDS databases are not discovered; only the targets of the configuration can be used");
            None
        }
        Some(Err(error)) => return Err(Failure::usage(error)),
    };
    Ok(Arc::new(Directory::new(policy(config), discover)))
}

/// What the configuration says about targets.
pub(super) fn policy(config: &Config) -> Policy {
    Policy { fixed: config.targets.clone(), acl: config.acl.clone(), tls: config.default_tls.clone() }
}

/// Binds, and says in the log what is where.
pub(super) async fn listen(address: &Address, what: &str) -> Result<(Listener, Address), Failure> {
    let failed = |error| Failure::Runtime(format!("cannot listen on {address}: {error}"));
    let listener = Listener::bind(address).await.map_err(failed)?;
    let bound = listener.address().map_err(failed)?;
    info!(address = %bound, "{what}");
    Ok((listener, bound))
}

/// A mode that is ready to serve.
pub(super) struct Prepared<R> {
    pub(super) engine: Arc<Engine<R>>,
    pub(super) listener: Listener,
    pub(super) stop: Stop,
    pub(super) shutdown: Shutdown,
}

/// Prepares a mode and serves until a signal, and until the last session has ended after it. A signal during the
/// preparation ends it at once.
pub(super) async fn run<R: Role>(
    preparation: impl Future<Output = Result<Prepared<R>, Failure>>,
) -> Result<(), Failure> {
    let mut signals =
        Signals::new().map_err(|error| Failure::Runtime(format!("signals cannot be received: {error}")))?;
    let prepared = tokio::select! {
        prepared = preparation => prepared?,
        () = signals.next() => return Ok(()),
    };
    let Prepared { engine, listener, stop, shutdown } = prepared;
    observe::ready();
    let serving = serve(engine, listener, shutdown.clone());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return Ok(()),
        () = on_signal(&mut signals, stop, &shutdown) => {}
    }
    serving.await;
    Ok(())
}

//! The steps of both modes at their start: configuration, discovery, listeners.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

use super::observe::Observer;
use super::supervise::Supervisor;
use crate::aws::{Accounts, Shared};
use crate::catalog::{Directory, Discover, Policy};
use crate::config::{self, Config, ConfigError, Found, Mode, OnFull, Origin, Remark, SearchOrder};
use crate::process::logging::Log;
use crate::process::{CommandError, file_limit};
use crate::session::Gate;
use crate::shutdown::Shutdown;
use crate::stamp::Stamp;

/// How long reading the AWS configuration may take: files, and the metadata service, which has a shorter limit itself.
const AWS_DEADLINE: Duration = Duration::from_secs(10);

/// What a client without a configuration file can do.
const WITHOUT_FILE: &str = "; write one of them, for example `upstream_proxies: {default: {host: \"proxy.example.com:8000\", ssl: \
     {mode: verify-full}}}`, let `rds-auth-proxy init` write it, or connect straight to the databases with --direct, which needs \
     no file";

/// A mode before it listens.
pub(crate) struct Start {
    /// Absent where the defaults apply.
    pub(super) file: Option<ConfigFile>,
    pub(super) mode: Mode,
    pub(crate) config: Config,
    pub(super) observer: Observer,
    pub(super) supervisor: Supervisor,
    pub(super) shutdown: Shutdown,
    /// Whether new sessions are refused because their audit lines could be lost.
    pub(super) gate: Gate,
}

/// A configuration file that was read.
pub(crate) struct ConfigFile {
    pub(crate) path: PathBuf,
    /// Taken before the file was read, so that a change during the read is noticed later.
    pub(super) stamp: Stamp,
}

impl Start {
    /// Reads the configuration and applies the settings of the whole process.
    pub(crate) fn read(path: Option<&Path>, mode: Mode, log: &Log) -> Result<Self, CommandError> {
        let (file, config) = match mode {
            // It needs no upstream proxy, and AWS knows the rest.
            Mode::DirectClient => read_or_default(path, mode)?,
            Mode::Client | Mode::Server => {
                let (file, config) = find_and_read(path, mode.into(), |path| config::load(path, mode))?;
                (Some(file), config)
            }
        };
        Self::of(file, config, mode, log)
    }

    /// The same for a configuration that was read, or that comes from elsewhere than from a file.
    pub(super) fn of(
        file: Option<ConfigFile>,
        config: Config,
        mode: Mode,
        log: &Log,
    ) -> Result<Self, CommandError> {
        log.configure(config.log_level);
        if let Some(ConfigFile { path, .. }) = &file {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            info!(file = %absolute.display(), "the configuration was loaded");
        }
        report(&config.remarks);
        file_limit::check(&config.limits);
        let gate: Gate = match config.audit_on_full {
            OnFull::Drop => Arc::new(|| false),
            OnFull::Refuse => {
                let log = log.clone();
                Arc::new(move || log.may_lose_audit_lines())
            }
        };
        Ok(Self {
            gate,
            observer: Observer::new(&config)?,
            supervisor: Supervisor::default(),
            shutdown: Shutdown::new(),
            mode,
            file,
            config,
        })
    }
}

/// Logs the remarks on a configuration.
pub(super) fn report(remarks: &[Remark]) {
    for Remark { key, text } in remarks {
        warn!(key, "{text}");
    }
}

/// Finds the configuration file and reads it.
pub(crate) fn find_and_read<T>(
    path: Option<&Path>,
    order: SearchOrder,
    read: impl FnOnce(&Path) -> Result<T, ConfigError>,
) -> Result<(ConfigFile, T), CommandError> {
    let found = config::find(path, order).map_err(|error| {
        let advice = match (path, order) {
            (None, SearchOrder::UserDirectoriesFirst) => WITHOUT_FILE,
            (Some(_), _) | (None, SearchOrder::WorkingDirectoryFirst) => "",
        };
        CommandError::Usage(format!("{error}{advice}"))
    })?;
    read_found(found, order, read)
}

/// As [`find_and_read`] and [`config::load`]. Where no file is named and none is found, the defaults apply, and the file is absent.
pub(super) fn read_or_default(
    path: Option<&Path>,
    mode: Mode,
) -> Result<(Option<ConfigFile>, Config), CommandError> {
    let order = mode.into();
    match config::find(path, order) {
        Ok(found) if found.may_be_foreign() => warn!(
            file = %found.path.display(),
            "this file of the working directory is neither YAML nor JSON by its name, and is not read"
        ),
        Ok(found) => {
            let (file, config) = read_found(found, order, |path| config::load(path, mode))?;
            return Ok((Some(file), config));
        }
        Err(ConfigError::NotFound { .. }) => {}
        Err(error) => return Err(CommandError::usage(error)),
    }
    info!("no configuration file was found; the defaults apply");
    Ok((None, config::defaults(mode).map_err(CommandError::usage)?))
}

fn read_found<T>(
    Found { path, origin }: Found,
    order: SearchOrder,
    read: impl FnOnce(&Path) -> Result<T, ConfigError>,
) -> Result<(ConfigFile, T), CommandError> {
    if order == SearchOrder::UserDirectoriesFirst && origin == Origin::WorkingDirectory {
        warn_of_working_directory(&path);
    }
    let stamp = Stamp::of(&path);
    let content = read(&path).map_err(|error| {
        let hint = match origin {
            Origin::Named => "",
            Origin::WorkingDirectory | Origin::UserDirectory => {
                "; this file was found, not named: --configfile takes another"
            }
        };
        CommandError::Usage(format!("{error}{hint}"))
    })?;
    Ok((ConfigFile { path, stamp }, content))
}

/// Before the file is read, whose `log_level` could hide the warning.
fn warn_of_working_directory(path: &Path) {
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    warn!(
        file = %file.display(),
        "your own directory has no configuration, so that of the working directory applies; it decides which server gets \
         your tokens and which programs run: check that you trust it, or name another one with --configfile"
    );
}

/// The AWS identities; absent where `rds.enabled` is false. `profile` overrides that of `aws` in the configuration.
/// `may_log_in`: whether a person at a terminal can open a session.
pub(super) async fn aws(
    config: &Config,
    profile: Option<&str>,
    may_log_in: bool,
) -> Result<Option<Accounts>, CommandError> {
    if !config.rds.enabled {
        return Ok(None);
    }
    let common = Shared::new(may_log_in && config.sso_login);
    let mut own = config.aws.clone();
    own.profile = profile.map(str::to_owned).or(own.profile);
    let loaded =
        timeout(AWS_DEADLINE, Accounts::load(&own, &config.rds.regions, &config.accounts, common)).await;
    loaded.map(Some).map_err(|_| {
        CommandError::Runtime(format!(
            "the AWS configuration could not be read within {} s; check that the files of AWS_CONFIG_FILE and \
             AWS_SHARED_CREDENTIALS_FILE, or else ~/.aws, can be read",
            AWS_DEADLINE.as_secs()
        ))
    })
}

/// A directory with the targets of the configuration; those of RDS are not listed yet.
pub(super) fn directory(config: &Config, aws: Option<&Accounts>) -> Result<Arc<Directory>, CommandError> {
    let discover: Option<Arc<dyn Discover>> = match aws.map(Accounts::discovery) {
        None => None,
        Some(Ok(discovery)) => Some(discovery),
        Some(Err(error)) if !config.targets.is_empty() => {
            warn!(%error, "RDS databases are not discovered; only the targets of the configuration can be used");
            None
        }
        Some(Err(error)) => return Err(CommandError::usage(error)),
    };
    Ok(Arc::new(Directory::new(policy(config), discover)))
}

/// The part of the configuration that concerns targets.
pub(super) fn policy(config: &Config) -> Policy {
    Policy {
        fixed: config.targets.clone(),
        allowed_clients: config.allowed_clients(),
        front_door: Arc::clone(&config.front_door),
        acl: config.acl.clone(),
        tls: config.default_tls.clone(),
        max_age: config.rds.max_age,
    }
}

//! The targets for commands that end by themselves: no listener and no engine.

use std::path::Path;
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::level_filters::LevelFilter;
use tracing::warn;

use super::catalog::Catalog;
use super::plan::plan;
use super::start::{self, ConfigFile};
use crate::aws::{Accounts, SignedToken};
use crate::catalog::{Directory, NamePattern, Resource, Target};
use crate::config::{self, Config, Mode};
use crate::net::HostPort;
use crate::process::logging::{self, Format};
use crate::process::{CommandError, harden, panic_hook, runtime};
use crate::stamp::Stamp;

/// These commands make no TLS with databases, so they read no file of `targets` and `rds`.
const MODE: Mode = Mode::Client;

/// The targets of a client.
pub(crate) struct Overview {
    pub(crate) config: Config,
    pub(crate) directory: Arc<Directory>,
    /// Absent where the defaults apply.
    file: Option<ConfigFile>,
    aws: Option<Accounts>,
}

/// A target that can be used.
pub(crate) struct Reachable {
    pub(crate) target: Target,
    /// Absent for a target of the configuration that RDS does not list.
    pub(crate) resource: Option<Resource>,
    /// The port of a client for it on this machine. Absent if no port is left, or if several targets have its name.
    pub(crate) local_port: Option<u16>,
}

/// Runs a command to its end. Its log has warnings and errors, unless a variable sets another level.
pub(crate) fn once(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    once_at(LevelFilter::WARN, work)
}

/// The same with this level of the log, unless a variable sets another one.
pub(crate) fn once_at(
    level: LevelFilter,
    work: impl Future<Output = Result<(), CommandError>>,
) -> Result<(), CommandError> {
    let log = logging::start(Format::Human)?;
    log.configure(level);
    panic_hook::install();
    harden();
    let outcome = runtime::run(work);
    log.flush();
    outcome
}

impl Reachable {
    /// Whether the pattern fits its name, or is its address.
    pub(crate) fn is_chosen_by(&self, pattern: &NamePattern) -> bool {
        fits(pattern, &self.target.name, Some(&self.target.address))
    }
}

/// Whether the pattern fits this name, or is this address.
pub(crate) fn fits(pattern: &NamePattern, name: &str, address: Option<&HostPort>) -> bool {
    let is_address = match pattern {
        NamePattern::Exact(text) => text.parse::<HostPort>().is_ok_and(|typed| Some(&typed) == address),
        NamePattern::Glob(_) => false,
    };
    is_address || pattern.matches(name)
}

impl Overview {
    /// Reads the configuration, as a client does (without a file the defaults apply), and lists the databases of RDS with this
    /// AWS profile, if there is one.
    pub(crate) async fn load(path: Option<&Path>, profile: Option<&str>) -> Result<Self, CommandError> {
        let (file, config) = start::read_or_default(path, MODE)?;
        start::report(&config.remarks);
        let Catalog { directory, aws } = Catalog::load(&config, profile, false).await?;
        Ok(Self { config, directory, file, aws })
    }

    /// Applies a changed configuration, as far as it is about targets, and lists the databases of RDS again. The previous
    /// configuration or list stays, with a warning, where one fails.
    pub(crate) async fn refresh(&mut self) {
        if let Some(file) = &mut self.file
            && let stamp = Stamp::of(&file.path)
            && stamp != file.stamp
        {
            let path = file.path.clone();
            match spawn_blocking(move || config::load_again(&path, MODE)).await {
                Ok(Ok(Some(config))) => {
                    start::report(&config.remarks);
                    self.directory.replace(start::policy(&config));
                    (self.config, file.stamp) = (config, stamp);
                }
                Ok(Ok(None)) => warn!("the configuration is empty; the previous one stays in use"),
                Ok(Err(error)) => {
                    warn!(%error, "the configuration cannot be used; the previous one stays in use");
                }
                // A panic is in the log.
                Err(_) => {}
            }
        }
        self.directory.refresh_or_warn().await;
    }

    /// All targets, by name.
    pub(crate) fn targets(&self) -> Vec<Reachable> {
        let described = self.directory.described().into_iter();
        let described: Vec<_> =
            described.map(|found| (self.config.with_named(found.target), found.resource)).collect();
        let known = described.iter().map(|(target, _)| target.clone()).collect();
        let plan = plan(&self.config, known, &[NamePattern::all()], &self.config.listen);
        // One of several targets with the same name has the port, or none.
        let port = |target: &Target| {
            let planned = plan.targets.get(&target.name)?;
            planned.port.filter(|_| planned.target.address == target.address).map(|port| port.port)
        };
        let ports: Vec<_> = described.iter().map(|(target, _)| port(target)).collect();
        let reachable = |((target, resource), local_port)| Reachable { target, resource, local_port };
        described.into_iter().zip(ports).map(reachable).collect()
    }

    /// An IAM token for this user of the target.
    pub(crate) async fn token(&self, target: &Target, user: &str) -> Result<SignedToken, CommandError> {
        let (Some(iam), Some(aws)) = (&target.iam, &self.aws) else {
            return Err(CommandError::usage(format_args!(
                "the target \"{}\" has no IAM authentication, so there is no token for it: RDS lists no database with IAM \
                 authentication at {}",
                target.name, target.address
            )));
        };
        let signed = aws.minter().sign(&target.address, iam, user).await;
        signed.map_err(|error| CommandError::runtime(format_args!("{error}; {}", error.remedy)))
    }
}

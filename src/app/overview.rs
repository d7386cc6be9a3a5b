//! The targets for commands that end by themselves: no listener and no engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::warn;

use super::start;
use crate::aws::{Aws, SignedToken};
use crate::catalog::{Directory, Iam, Resource, Target, local_ports};
use crate::config::{self, Config, Mode};
use crate::process::logging::{self, Format};
use crate::process::{CommandError, harden, panic_hook, runtime};

/// The targets of a client.
pub(crate) struct Overview {
    pub(crate) config: Config,
    pub(crate) directory: Arc<Directory>,
    aws: Option<Aws>,
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
    let log = logging::start(Format::Human)?;
    log.configure(LevelFilter::WARN);
    panic_hook::install();
    harden();
    let outcome = runtime::run(work);
    log.flush();
    outcome
}

impl Overview {
    /// Reads the configuration, as a client does, and lists the databases of RDS. If that fails, a warning is logged, and the targets
    /// of the configuration remain.
    pub(crate) async fn load(path: Option<&Path>) -> Result<Self, CommandError> {
        let mode = Mode::Client;
        let (_, config) = start::find_and_read(path, mode.into(), |path| config::load(path, mode))?;
        start::report(&config.remarks);
        let aws = start::aws(&config).await?;
        let directory = start::directory(&config, aws.as_ref())?;
        match directory.refresh().await {
            Err(error) if directory.targets().is_empty() => return Err(CommandError::runtime(error)),
            Err(error) => {
                warn!(%error, "discovery failed; only the targets of the configuration can be used");
            }
            Ok(()) => {}
        }
        for name in config.unlisted(&directory.targets()) {
            warn!(key = name, "RDS lists no such database here, and this key has no host; it has no effect");
        }
        Ok(Self { config, directory, aws })
    }

    /// All targets, by name.
    pub(crate) fn targets(&self) -> Vec<Reachable> {
        let described = self.directory.described().into_iter();
        let described: Vec<_> =
            described.map(|found| (self.config.with_named(found.target), found.resource)).collect();
        let wanted = described.iter().map(|(target, _)| (target.name.as_str(), target.local_port));
        let ports: BTreeMap<_, _> =
            local_ports(wanted).into_iter().map(|(name, port)| (name.to_owned(), port.port)).collect();
        let mut names = BTreeMap::new();
        for (target, _) in &described {
            *names.entry(target.name.clone()).or_insert(0_usize) += 1;
        }
        let reachable = |(target, resource): (Target, Option<Resource>)| {
            let is_unique = names.get(&target.name) == Some(&1);
            let local_port = ports.get(&target.name).copied().filter(|_| is_unique);
            Reachable { target, resource, local_port }
        };
        described.into_iter().map(reachable).collect()
    }

    /// An IAM token for this user of the target.
    pub(crate) async fn token(&self, target: &Target, user: &str) -> Result<SignedToken, CommandError> {
        let (Some(Iam { region }), Some(aws)) = (&target.iam, &self.aws) else {
            return Err(CommandError::usage(format_args!(
                "the target \"{}\" has no IAM authentication, so there is no token for it: RDS lists no database with IAM \
                 authentication at {}",
                target.name, target.address
            )));
        };
        let signed = aws.minter().sign(&target.address, region, user).await;
        signed.map_err(|error| CommandError::runtime(format_args!("{error}; {}", error.remedy)))
    }
}

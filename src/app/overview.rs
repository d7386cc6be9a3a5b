//! The targets for commands that end by themselves: no listener and no engine.

use std::path::Path;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::warn;

use super::start;
use crate::aws::{Aws, SignedToken};
use crate::catalog::{Directory, Iam, Target};
use crate::config::{self, Mode};
use crate::process::logging::{self, Format};
use crate::process::{CommandError, harden, panic_hook, runtime};

/// The targets of a client.
pub(crate) struct Overview {
    pub(crate) directory: Arc<Directory>,
    aws: Option<Aws>,
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
        Ok(Self { directory, aws })
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

//! The targets that a client can choose from.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::warn;

use super::{known_names, start};
use crate::aws::Accounts;
use crate::catalog::Directory;
use crate::config::Config;
use crate::process::last_line::spin_during;
use crate::process::{CommandError, can_prompt};

/// The targets to choose from, and the AWS identities behind them.
pub(crate) struct Catalog {
    pub(crate) directory: Arc<Directory>,
    /// Absent where `rds.enabled` is false.
    pub(super) aws: Option<Accounts>,
}

impl Catalog {
    /// Lists the databases of RDS. If that fails, a warning is logged, and the targets of the configuration remain. Without such
    /// targets it is an error, except where `may_be_empty`: they may become known later.
    pub(crate) async fn load(
        config: &Config,
        profile: Option<&str>,
        may_be_empty: bool,
    ) -> Result<Self, CommandError> {
        let aws = start::aws(config, profile, can_prompt()).await?;
        if let Some(aws) = &aws {
            // The first listing does not wait for a person.
            aws.log_in().await;
        }
        let directory = start::directory(config, aws.as_ref())?;
        match spin_during("listing the databases of RDS", directory.refresh()).await {
            Ok(()) => {
                for name in config.unlisted(&directory.targets()) {
                    warn!(
                        key = name,
                        "RDS lists no such database here, and this key has no host; it has no effect"
                    );
                }
            }
            Err(error) if !directory.targets().is_empty() => {
                warn!(%error, "discovery failed; only the targets of the configuration can be used");
            }
            Err(error) if may_be_empty => {
                warn!(%error, "discovery failed, so no target can be used yet; it is tried again every minute");
            }
            Err(error) => return Err(CommandError::runtime(error)),
        }
        let names: Vec<_> = directory.targets().into_iter().map(|target| target.name).collect();
        // A command may end at once, and a panic is in the log.
        let _stored = spawn_blocking(move || known_names::store(&names)).await;
        Ok(Self { directory, aws })
    }
}

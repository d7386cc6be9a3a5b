//! Puts `rds-auth-proxy credentials` together, and the same beside the databases of a client.

mod all_services;
mod beside;
mod files;
mod follow;
mod serve;
mod source;
mod survey;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::info;

use super::supervise::Supervisor;
use super::{Prepared, observe};
use crate::aws::RolesByService;
use crate::config::{Drain, Stop};
use crate::credentials::{self, Face, Services};
use crate::process::logging::Log;
use crate::process::{CommandError, Hangup};
use crate::shutdown::Shutdown;
use files::Files;
use follow::Followed;
use serve::Listeners;
use source::ConfigFile;

pub(super) use beside::Beside;
pub(crate) use source::Source;
pub(crate) use survey::survey;

/// Requests under way get what [`Supervisor::end`] gives them.
const STOP: Stop = Stop { delay: Duration::ZERO, drain: Drain::After(Duration::ZERO) };

/// Prepares to serve the services of this configuration.
pub(crate) async fn prepare(source: Source, log: Log) -> Result<Prepared, CommandError> {
    let hangup = Hangup::new();
    let config = source.load().map_err(CommandError::usage)?;
    log.configure(config.log_level);
    let mut files = Files::new(ConfigFile::Whole(source), config);
    info!(file = %files.path().display(), "the configuration was loaded");
    // Before anything is counted.
    let recorder = files.config.metrics.is_some().then(observe::recorder).transpose()?;
    let services = Services::new(Arc::new(RolesByService::default()));
    // Before the first request, whose token would be unknown.
    services.replace(&files.services(), files.config.timing);
    let config = &files.config;
    let (mut supervisor, shutdown) = (Supervisor::default(), Shutdown::new());
    let Listeners { all, address } = serve::bind(config, "listening").await?;
    let face = Face { services: services.clone(), log_health_checks: config.log_health_checks };
    for listener in all {
        let serving = credentials::serve(listener, face.clone(), supervisor.stop());
        supervisor.end_on_panic("credentials listener", serving);
    }
    if let (Some(metrics), Some(recorder)) = (&config.metrics, recorder) {
        serve::metrics(metrics, recorder, &mut supervisor).await?;
    }
    let followed = Followed { files: Arc::new(Mutex::new(files)), services, hangup };
    supervisor.restart_on_panic("configuration reload", followed, |followed| Box::pin(followed.follow()));
    let drained = shutdown.clone();
    let serving = Box::pin(async move { drained.draining().await });
    Ok(Prepared { serving, address, stop: STOP, shutdown, supervisor, command: None, status: None })
}

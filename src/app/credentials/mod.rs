//! Puts `rds-auth-proxy credentials` together.

mod all_services;
mod files;
mod follow;
mod serve;
mod survey;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::info;

use super::supervise::Supervisor;
use super::{Prepared, observe};
use crate::aws::RolesByService;
use crate::config::{Drain, Stop};
use crate::credentials::Services;
use crate::process::logging::Log;
use crate::process::{CommandError, Hangup};
use crate::shutdown::Shutdown;
use files::Files;
use follow::Followed;

pub(crate) use files::Source;
pub(crate) use survey::survey;

/// Requests under way get what [`Supervisor::end`] gives them.
const STOP: Stop = Stop { delay: Duration::ZERO, drain: Drain::After(Duration::ZERO) };

/// Prepares to serve the services of this configuration.
pub(crate) async fn prepare(source: Source, log: Log) -> Result<Prepared, CommandError> {
    let hangup = Hangup::new();
    let mut files = Files::load(source).map_err(CommandError::usage)?;
    log.configure(files.config.log_level);
    info!(file = %files.path().display(), "the configuration was loaded");
    // Before anything is counted.
    let recorder = files.config.metrics.is_some().then(observe::recorder).transpose()?;
    let services = Services::new(Arc::new(RolesByService::default()));
    // Before the first request, whose token would be unknown.
    services.replace(&files.services(), files.config.timing);
    let config = &files.config;
    let (mut supervisor, shutdown) = (Supervisor::default(), Shutdown::new());
    let address = serve::listen(config, &services, &mut supervisor).await?;
    if let (Some(metrics), Some(recorder)) = (&config.metrics, recorder) {
        serve::metrics(metrics, recorder, &mut supervisor).await?;
    }
    let followed = Followed { loaded: files.stamps(), files: Arc::new(Mutex::new(files)), services, hangup };
    supervisor.restart_on_panic("configuration reload", followed, |followed| Box::pin(followed.follow()));
    let drained = shutdown.clone();
    let serving = Box::pin(async move { drained.draining().await });
    Ok(Prepared { serving, address, stop: STOP, shutdown, supervisor, command: None, status: None })
}

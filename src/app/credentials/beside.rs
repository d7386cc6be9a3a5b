//! Serves the section `credentials` in the configuration of a client, beside its databases. No failure here costs a database,
//! and a client that loses its databases serves credentials.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::warn;

use super::super::blocking::blocking;
use super::super::supervise::Supervisor;
use super::files::Files;
use super::follow::Followed;
use super::serve::{self, Listeners};
use super::source::ConfigFile;
use crate::aws::RolesByService;
use crate::config::credentials::Names;
use crate::credentials::{self, Face, Services};
use crate::process::Hangup;
use crate::stamp::Stamp;

/// The pause before another attempt: another client may have the port, and a file of a reference may be missing.
const RETRY: Duration = Duration::from_secs(5);

/// How often a file without the section is compared with its stamp.
const PERIOD: Duration = Duration::from_secs(2);

/// The section of one file.
pub(in crate::app) struct Beside {
    path: PathBuf,
    stop: CancellationToken,
    /// The process waits for the last requests.
    _last_requests: TaskTrackerToken,
}

impl Beside {
    /// The section in the file at this path.
    pub(in crate::app) fn new(path: &Path, supervisor: &Supervisor) -> Self {
        Self { path: path.to_owned(), stop: supervisor.stop(), _last_requests: supervisor.last_requests() }
    }

    /// Serves the section as soon as it is valid. Returns when the process ends.
    pub(in crate::app) async fn serve(&mut self) {
        let stop = self.stop.clone();
        let (mut files, listeners) = tokio::select! {
            ready = self.until_ready() => match ready {
                Some(ready) => ready,
                None => return,
            },
            () = stop.cancelled() => return,
        };
        let services = Services::new(Arc::new(RolesByService::default()));
        // Before the first request, whose token would be unknown.
        services.replace(&files.services(), files.config.timing);
        let face = Face { services: services.clone(), log_health_checks: files.config.log_health_checks };
        let (files, hangup) = (Arc::new(Mutex::new(files)), Hangup::without_terminal());
        let mut followed = Followed { files, services, hangup };
        let serving = listeners.all.into_iter();
        let serving = serving.map(|listener| credentials::serve(listener, face.clone(), stop.clone()));
        tokio::select! {
            _stopped = join_all(serving) => {}
            () = followed.follow() => {}
        }
    }

    /// Waits for a valid section, and for its addresses. Logs each reason once. Absent when the runtime ends.
    async fn until_ready(&self) -> Option<(Files, Listeners)> {
        let mut logged = String::new();
        loop {
            let stamp = Stamp::of(&self.path);
            let file = ConfigFile::Section { path: self.path.clone(), names: Names::of_process() };
            let (file, loaded) = blocking(move || {
                let loaded = file.load();
                (file, loaded)
            })
            .await?;
            let reason = match loaded {
                Ok(Some(config)) => match serve::bind(&config, "serving credentials").await {
                    Ok(listeners) => {
                        let files = blocking(move || Files::new(file, config)).await?;
                        return Some((files, listeners));
                    }
                    Err(error) => error.text().to_owned(),
                },
                Ok(None) => {
                    self.until_changed(stamp).await;
                    continue;
                }
                Err(error) => error.to_string(),
            };
            if reason != logged {
                warn!(error = reason, "credentials are not served yet; databases are");
                logged = reason;
            }
            sleep(RETRY).await;
        }
    }

    async fn until_changed(&self, stamp: Stamp) {
        while Stamp::of(&self.path) == stamp {
            sleep(PERIOD).await;
        }
    }
}

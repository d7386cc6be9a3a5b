//! Follows the configuration and the files that it names: services come, change and go without a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::info;

use super::super::blocking::blocking;
use super::files::{Files, Stamps};
use crate::credentials::Services;
use crate::process::Hangup;

/// How often the files are compared with their stamps.
const PERIOD: Duration = Duration::from_secs(1);

/// How long files have to be unchanged where there is no `reload_interval`: one that still changes is half written.
const INTERVAL: Duration = Duration::from_secs(2);

/// The files of the services that are served.
pub(in crate::app) struct Followed {
    pub(super) files: Arc<Mutex<Files>>,
    pub(super) services: Services,
    pub(super) hangup: Hangup,
}

impl Followed {
    /// Reads the files again after SIGHUP and whenever they have changed. Ends with the runtime.
    pub(in crate::app) async fn follow(&mut self) {
        let (mut seen, mut since) = (Stamps::new(), Instant::now());
        loop {
            let requested = tokio::select! {
                () = self.hangup.next() => true,
                () = tokio::time::sleep(PERIOD) => false,
            };
            let compare = |files: &mut Files| {
                let stamps = files.stamps();
                (stamps != files.read, stamps, interval(files))
            };
            let Some((changed, stamps, interval)) = self.with_files(compare).await else { return };
            if stamps != seen {
                (seen, since) = (stamps, Instant::now());
            }
            if requested || (changed && since.elapsed() >= interval) {
                self.reload().await;
            }
        }
    }

    async fn reload(&mut self) {
        let read = self.with_files(|files| {
            files.reload();
            (files.services(), files.config.timing)
        });
        let Some((services, timing)) = read.await else { return };
        self.services.replace(&services, timing);
        info!(services = services.len(), "the services were read again");
    }

    /// Works on a thread that may block. Absent when the runtime ends.
    async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Files) -> T + Send + 'static,
    ) -> Option<T> {
        let files = Arc::clone(&self.files);
        blocking(move || work(&mut files.lock())).await
    }
}

fn interval(files: &Files) -> Duration {
    files.config.dynamic.as_ref().map_or(INTERVAL, |dynamic| dynamic.reload_interval)
}

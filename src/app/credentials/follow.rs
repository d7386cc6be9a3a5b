//! Follows the configuration and the files that it names: services come, change and go without a restart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::info;

use super::super::blocking::blocking;
use super::files::{Files, Stamps};
use crate::credentials::Services;
use crate::process::Hangup;
use crate::stamp::Stamp;

/// How often the files are compared with their stamps.
const PERIOD: Duration = Duration::from_secs(1);

/// How long files have to be unchanged where there is no `reload_interval`: one that still changes is half written.
const INTERVAL: Duration = Duration::from_secs(2);

/// The files of the services that are served.
pub(in crate::app) struct Followed {
    pub(super) files: Arc<Mutex<Files>>,
    pub(super) services: Services,
    pub(super) hangup: Hangup,
    /// When the files were last read.
    pub(super) loaded: Stamps,
}

impl Followed {
    /// Reads the files again after SIGHUP and whenever they have changed. Ends with the runtime.
    pub(in crate::app) async fn follow(&mut self) {
        let (mut seen, mut since) = (self.loaded.clone(), Instant::now());
        loop {
            let requested = tokio::select! {
                () = self.hangup.next() => true,
                () = tokio::time::sleep(PERIOD) => false,
            };
            let Some((stamps, interval)) = self.with_files(|files| (files.stamps(), interval(files))).await
            else {
                return;
            };
            if stamps != seen {
                (seen, since) = (stamps, Instant::now());
            }
            if requested || (seen != self.loaded && since.elapsed() >= interval) {
                self.reload().await;
                seen.clone_from(&self.loaded);
            }
        }
    }

    async fn reload(&mut self) {
        let read = self.with_files(|files| {
            // Before the files are read, so that a change meanwhile is noticed.
            let before = files.stamps();
            files.reload();
            (known_since(&before, files.stamps()), files.services(), files.config.timing)
        });
        let Some((stamps, services, timing)) = read.await else { return };
        self.loaded = stamps;
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

/// The stamps of these files from `before`; those of files that are new to the list, which were read just now.
fn known_since(before: &Stamps, after: Stamps) -> Stamps {
    let earlier = |path: &PathBuf| before.iter().find(|(known, _)| known == path).map(|(_, stamp)| *stamp);
    let stamp = |(path, stamp): (PathBuf, Stamp)| {
        let stamp = earlier(&path).unwrap_or(stamp);
        (path, stamp)
    };
    after.into_iter().map(stamp).collect()
}

fn interval(files: &Files) -> Duration {
    files.config.dynamic.as_ref().map_or(INTERVAL, |dynamic| dynamic.reload_interval)
}

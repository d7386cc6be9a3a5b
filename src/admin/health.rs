//! Readiness, and the gauges that are measured when they are read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use metrics::{Gauge, gauge};
use parking_lot::RwLock;
use tokio::runtime::Handle;

use crate::catalog::Directory;
use crate::shutdown::Shutdown;
use crate::tls::expiry;

/// The number of live asynchronous tasks.
pub(super) const TASKS: &str = "rds_auth_proxy_tasks";

/// When each certificate file expires, in seconds since 1970.
pub(super) const CERTIFICATE_END: &str = "rds_auth_proxy_certificate_expiry_timestamp_seconds";

/// What readiness depends on. The listener is bound before the admin listener answers.
#[derive(Clone)]
pub struct Health {
    /// Must have listed the databases once, where discovery is on. Absent in a client, which lists them before it listens.
    pub directory: Option<Arc<Directory>>,
    /// Must not have begun.
    pub shutdown: Shutdown,
    /// The certificate files in use.
    pub certificates: Certificates,
}

/// Certificate files whose expiry is measured.
#[derive(Clone, Default)]
pub struct Certificates(Arc<RwLock<Vec<PathBuf>>>);

impl Certificates {
    /// Replaces the files.
    pub fn watch(&self, files: Vec<PathBuf>) {
        let before = std::mem::replace(&mut *self.0.write(), files);
        let now = self.files();
        for file in before.iter().filter(|file| !now.contains(file)) {
            // A gauge cannot be removed, and its last value would keep raising alerts.
            end_of(file).set(f64::NAN);
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.0.read().clone()
    }
}

impl Health {
    /// The reasons why the proxy is not ready; empty where it is.
    #[must_use]
    pub fn obstacles(&self) -> Vec<&'static str> {
        let unlisted = self.directory.as_ref().is_some_and(|directory| !directory.is_discovered());
        let parts = [
            (self.shutdown.is_announced(), "it is shutting down"),
            (unlisted, "the RDS databases have not been listed yet"),
        ];
        parts.into_iter().filter(|(applies, _)| *applies).map(|(_, reason)| reason).collect()
    }

    /// Sets the gauges.
    pub(super) fn measure(&self) {
        gauge!("rds_auth_proxy_ready").set(if self.obstacles().is_empty() { 1.0 } else { 0.0 });
        let tasks = Handle::current().metrics().num_alive_tasks();
        gauge!(TASKS).set(u32::try_from(tasks).unwrap_or(u32::MAX));
        if let Some(directory) = &self.directory {
            directory.measure();
        }
        for file in self.certificates.files() {
            // An unreadable file keeps its last value; the log has the reason when it is loaded.
            if let Ok(Some(end)) = expiry(&file) {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "seconds since 1970 are exact in a double for ages"
                )]
                end_of(&file).set(end as f64);
            }
        }
    }
}

fn end_of(file: &Path) -> Gauge {
    gauge!(CERTIFICATE_END, "file" => file.display().to_string())
}

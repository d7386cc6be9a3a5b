//! Whether the proxy can take on work, and if not, which part of it is missing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use metrics::{Gauge, gauge};
use tokio::runtime::Handle;

use crate::catalog::Directory;
use crate::shutdown::Shutdown;
use crate::tls::expiry;

/// How many asynchronous tasks are alive.
pub(super) const TASKS: &str = "rds_auth_proxy_tasks";

/// When each certificate file runs out, in seconds since 1970.
pub(super) const CERTIFICATE_END: &str = "rds_auth_proxy_certificate_expiry_timestamp_seconds";

/// The parts that readiness depends on. That the listener is bound needs no asking: before it is, nothing answers here.
#[derive(Clone)]
pub struct Health {
    /// Has to have listed the databases once, if it lists any. A client looks them up before it listens, and no more.
    pub directory: Option<Arc<Directory>>,
    /// Must not have been given.
    pub shutdown: Shutdown,
    /// Whose end is watched.
    pub certificates: Certificates,
}

/// Certificate files.
#[derive(Clone, Default)]
pub struct Certificates(Arc<RwLock<Vec<PathBuf>>>);

impl Certificates {
    /// Watches these from now on, and no others.
    pub fn watch(&self, files: Vec<PathBuf>) {
        let before = std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), files);
        let now = self.files();
        for file in before.iter().filter(|file| !now.contains(file)) {
            // A gauge cannot be taken back, and the last value would go on to raise alarms.
            end_of(file).set(f64::NAN);
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Health {
    /// What keeps the proxy from being ready; nothing where it is.
    #[must_use]
    pub fn faults(&self) -> Vec<&'static str> {
        let unlisted = self.directory.as_ref().is_some_and(|directory| !directory.is_discovered());
        let parts = [
            (self.shutdown.is_announced(), "it is shutting down"),
            (unlisted, "the RDS databases have not been listed yet"),
        ];
        parts.into_iter().filter(|(faulty, _)| *faulty).map(|(_, fault)| fault).collect()
    }

    /// Puts what is true now into the gauges.
    pub(super) fn measure(&self) {
        gauge!("rds_auth_proxy_ready").set(if self.faults().is_empty() { 1.0 } else { 0.0 });
        let tasks = Handle::current().metrics().num_alive_tasks();
        gauge!(TASKS).set(u32::try_from(tasks).unwrap_or(u32::MAX));
        if let Some(directory) = &self.directory {
            directory.measure();
        }
        for file in self.certificates.files() {
            // One that cannot be read any more keeps its last value; the log has the reason when it is loaded.
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

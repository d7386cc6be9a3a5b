//! Readiness, and the gauges that are measured when they are read.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metrics::{Gauge, gauge};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::process_metrics;
use crate::catalog::Directory;
use crate::session::Gauges;
use crate::session::metrics::expect_logins;
use crate::shutdown::Shutdown;
use crate::tls::CertificateExpiry;

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
    /// Measures the connections.
    pub connections: Gauges,
    /// The runtime of the connections.
    pub runtime: Handle,
    /// The targets whose counters exist.
    pub known: Arc<Mutex<HashSet<String>>>,
}

/// Certificate files whose expiry is measured.
#[derive(Clone, Default)]
pub struct Certificates(Arc<Mutex<Vec<CertificateExpiry>>>);

impl Certificates {
    /// Replaces the files.
    pub fn watch(&self, files: Vec<PathBuf>) {
        let mut watched = self.0.lock();
        for before in watched.iter().filter(|before| !files.iter().any(|file| file == before.path())) {
            // A gauge cannot be removed, and its last value would keep raising alerts.
            expiry_gauge(before.path()).set(f64::NAN);
        }
        *watched = files.into_iter().map(CertificateExpiry::new).collect();
    }

    /// Sets the gauges. Reads the files that have changed, so it may block. An unreadable file keeps its last value; the log
    /// has the reason when it is loaded.
    fn measure(&self) {
        for certificate in self.0.lock().iter_mut() {
            if let Some(seconds) = certificate.seconds() {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a double holds seconds since 1970 exactly for ages"
                )]
                expiry_gauge(certificate.path()).set(seconds as f64);
            }
        }
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
    pub(super) async fn measure(&self) {
        gauge!("rds_auth_proxy_ready").set(if self.obstacles().is_empty() { 1.0 } else { 0.0 });
        let tasks = self.runtime.metrics().num_alive_tasks();
        gauge!(TASKS).set(u32::try_from(tasks).unwrap_or(u32::MAX));
        self.connections.measure();
        if let Some(directory) = &self.directory {
            directory.measure();
            let mut known = self.known.lock();
            for target in directory.targets() {
                if !known.contains(&target.name) {
                    expect_logins(&target.name);
                    known.insert(target.name);
                }
            }
        }
        let certificates = self.certificates.clone();
        let measure = move || {
            process_metrics::measure();
            certificates.measure();
        };
        // An error means that the runtime ends.
        let _measured = spawn_blocking(measure).await;
    }
}

fn expiry_gauge(file: &Path) -> Gauge {
    gauge!(CERTIFICATE_END, "file" => file.display().to_string())
}

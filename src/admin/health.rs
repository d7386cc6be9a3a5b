//! Readiness, and the gauges that are measured when they are read.

use std::collections::HashSet;
use std::sync::Arc;

use metrics::gauge;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::{Certificates, process_metrics};
use crate::catalog::Directory;
use crate::session::Gauges;
use crate::session::metrics::expect_target;
use crate::shutdown::Shutdown;

/// The number of live asynchronous tasks.
pub(super) const TASKS: &str = "rds_auth_proxy_tasks";

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
                    expect_target(&target.name);
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

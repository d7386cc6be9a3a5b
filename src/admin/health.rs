//! Whether the proxy can take on work, and if not, which part of it is missing.

use std::sync::Arc;

use metrics::gauge;

use crate::shutdown::Shutdown;
use crate::target::Directory;

/// The parts that readiness depends on. That the listener is bound needs no asking: before it is, nothing answers here.
#[derive(Clone)]
pub struct Health {
    /// Has to have listed the databases once, if it lists any.
    pub directory: Arc<Directory>,
    /// Must not have been given.
    pub shutdown: Shutdown,
}

impl Health {
    /// What keeps the proxy from being ready; nothing where it is.
    #[must_use]
    pub fn faults(&self) -> Vec<&'static str> {
        let parts = [
            (self.shutdown.is_announced(), "it is shutting down"),
            (!self.directory.is_discovered(), "the RDS databases have not been listed yet"),
        ];
        parts.into_iter().filter(|(faulty, _)| *faulty).map(|(_, fault)| fault).collect()
    }

    /// Puts what is true now into the gauges.
    pub(super) fn measure(&self) {
        gauge!("rds_auth_proxy_ready").set(if self.faults().is_empty() { 1.0 } else { 0.0 });
        self.directory.measure();
    }
}

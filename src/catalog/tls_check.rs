//! Reports targets whose TLS cannot be used, or is weaker than the default.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::warn;

use super::Target;

/// Checks the TLS of targets before a connection needs it. It reports each finding once, until it is gone.
#[derive(Default)]
pub(super) struct TlsCheck {
    /// Held while a check runs: one that hangs in a file system is not joined by others.
    reported: Arc<Mutex<BTreeSet<Finding>>>,
}

/// A name of a target, and what is wrong with its TLS.
type Finding = (String, String);

impl TlsCheck {
    /// Checks these targets on a thread for blocking work; skipped if a check is running.
    pub(super) fn start(&self, targets: Vec<Target>) -> Option<JoinHandle<()>> {
        let mut reported = Arc::clone(&self.reported).try_lock_owned().ok()?;
        Some(spawn_blocking(move || {
            let findings = targets.iter().filter_map(|target| check(target, &reported)).collect();
            *reported = findings;
        }))
    }
}

fn check(target: &Target, reported: &BTreeSet<Finding>) -> Option<Finding> {
    let new = |finding: &Finding| !reported.contains(finding);
    if let Err(error) = target.tls.load() {
        let finding = (target.name.clone(), error.to_string());
        if new(&finding) {
            warn!(name = target.name, %error, "connections to this target fail: its TLS cannot be set up");
        }
        return Some(finding);
    }
    let mode = target.weaker_mode()?;
    let finding = (target.name.clone(), mode.to_string());
    if new(&finding) {
        let key = format!("targets.{}.ssl.mode", target.name);
        warn!(
            name = target.name,
            key,
            %mode,
            "the configuration weakens the TLS to an RDS database; without this key it is verify-full"
        );
    }
    Some(finding)
}

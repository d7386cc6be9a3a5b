//! The log line of each request for credentials. It has names only.

use tracing::info;

use super::outcome::Outcome;
use super::running::Running;
use crate::net::Peer;

/// The target of the lines.
pub const AUDIT_MODULE: &str = module_path!();

/// Writes the line.
pub(super) fn log(peer: Peer, running: Option<&Running>, access_key_id: &str, outcome: Outcome) {
    let role = running.map_or("", |running| running.role.arn.as_str());
    let session = running.map_or("", |running| running.role.session_name.as_str());
    let service = running.map_or("", |running| running.name.as_str());
    info!(%peer, service, role, session, access_key_id, outcome = outcome.word(), "credentials were requested");
}

//! The Unix socket that lists the sessions of this process and ends them.

use tracing::info;

use super::admin_thread;
use super::supervise::Supervisor;
use crate::admin;
use crate::config::Config;
use crate::net::Listener;
use crate::process::CommandError;
use crate::session::LiveSessions;

/// Starts the admin socket, if there is one.
pub(super) async fn listen(
    config: &Config,
    sessions: LiveSessions,
    supervisor: &mut Supervisor,
) -> Result<(), CommandError> {
    let Some(path) = &config.admin_socket else { return Ok(()) };
    let (wanted, stop) = (path.clone(), supervisor.stop());
    let bind = async move { Listener::bind_private(&wanted).await };
    let service = |listener| admin::serve_sessions(listener, sessions, stop);
    let (_bound, service) = admin_thread::serve(bind, service).await.map_err(|error| {
        CommandError::runtime(format!("cannot listen on the admin_socket {}: {error}", path.display()))
    })?;
    info!(admin_socket = %path.display(), "listing sessions");
    supervisor.end_on_panic("admin socket", service);
    Ok(())
}

//! Whether a client can reach its upstream proxy, for a warning at the start.

use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use crate::net;
use crate::session::{Hop, Limits, Transport};

/// How long a tunnel is not checked: a connection in this time shows by itself whether it works.
const BEFORE_TUNNEL: Duration = Duration::from_secs(3);

/// Connects once and closes the connection at once. Logs a failure, and has no other effect: each connection of an application
/// connects by itself. A tunnel whose kubeconfig has a plugin is not checked, because the plugin may need a person.
pub(super) async fn warn_if_unreachable(hop: &Hop, limits: &Limits) {
    let error = match &hop.transport {
        Transport::Address(address) => net::dial(address, limits.connect_timeout).await.err(),
        Transport::Tunnel { dial, .. } => {
            sleep(BEFORE_TUNNEL).await;
            dial.check(limits.handshake_timeout).await
        }
        Transport::Database { .. } => None,
    };
    if let Some(error) = error {
        warn!(upstream = hop.name, %error, "the upstream proxy cannot be reached; connections fail until it can");
    }
}

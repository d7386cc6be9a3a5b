//! Whether a client can reach its upstream proxy, for a warning at the start.

use tracing::warn;

use crate::net;
use crate::session::{Hop, Limits, Transport};

/// Connects once and closes the connection at once. Logs a failure, and has no other effect: each connection of an application
/// connects by itself.
pub(super) async fn warn_if_unreachable(hop: &Hop, limits: &Limits) {
    let reached = match &hop.transport {
        Transport::Address(address) => net::dial(address, limits.connect_timeout).await.map(drop),
        Transport::Tunnel { dial, .. } => dial.dial(limits.handshake_timeout).await.map(drop),
    };
    if let Err(error) = reached {
        warn!(upstream = hop.name, %error, "the upstream proxy cannot be reached; connections fail until it can");
    }
}

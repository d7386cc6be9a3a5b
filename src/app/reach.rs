//! Whether a client can reach its upstream proxy, for a warning at the start.

use tracing::warn;

use crate::net;
use crate::session::{Hop, Limits, Transport};

/// Connects once and closes the connection at once. Logs a failure, and has no other effect: each connection of an application
/// connects by itself. A tunnel is not checked, because the plugin of a kubeconfig may need a person.
pub(super) async fn warn_if_unreachable(hop: &Hop, limits: &Limits) {
    let Transport::Address(address) = &hop.transport else { return };
    if let Err(error) = net::dial(address, limits.connect_timeout).await {
        warn!(upstream = hop.name, %error, "the upstream proxy cannot be reached; connections fail until it can");
    }
}

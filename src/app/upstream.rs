//! The upstream proxy of a client: which one, and how it is reached.

use std::sync::Arc;

use crate::catalog::named;
use crate::client::UpstreamMode;
use crate::config::{Config, Upstream};
use crate::session::{Hop, Transport};
use crate::tls::Connector;

/// The upstream proxy that is used where several are configured and none is named, in any case.
const DEFAULT: &str = "default";

/// The name of the upstream proxy where none is named: `default`, or that of the only one.
pub(crate) fn default_name(config: &Config) -> Option<&str> {
    let mut all = config.upstreams.values();
    match (all.next(), all.next()) {
        (Some(only), None) => Some(&only.name),
        _ => (!named(config.upstreams.values(), DEFAULT, |upstream| &upstream.name).is_empty())
            .then_some(DEFAULT),
    }
}

/// The hop behind this transport.
pub(super) fn hop(upstream: &Upstream, tls: &Arc<Connector>, transport: Transport) -> Hop {
    let name = match &transport {
        Transport::Address(address) => format!("the upstream proxy {} at {address}", upstream.name),
        // Errors of a tunnel name the pods.
        Transport::Database { .. } | Transport::Tunnel { .. } => {
            format!("the upstream proxy {}", upstream.name)
        }
    };
    Hop {
        name,
        transport,
        tls: Arc::clone(tls),
        require_auth: upstream.require_auth,
        auth_key: format!("upstream_proxies.{}.require_auth", upstream.name),
        is_database: false,
    }
}

/// The way to this hop, which is the upstream proxy.
pub(super) fn mode(upstream: &Upstream, hop: Hop) -> UpstreamMode {
    if upstream.aws_auth_only { UpstreamMode::AuthOnly(hop) } else { UpstreamMode::PasswordInStartup(hop) }
}

//! Where credentials may be served: the addresses from which the SDKs take them without TLS, and no others.

use super::raw::Server;
use crate::config::key_error::{KeyError, quoted};
use crate::config::key_path::KeyPath;
use crate::net::HostPort;

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 1338;

/// The addresses of the container agents of ECS and EKS
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
const AGENTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

const REFUSAL: &str = "is neither a loopback address nor one of 169.254.170.2, 169.254.170.23 and fd00:ec2::23: other \
                       machines could ask for credentials there, and no SDK takes them from it without TLS; use localhost \
                       and share the network of this container (network_mode: service:…), or add the line \
                       `allow_any_address: true` below `server:`";

/// The address of `server`, whose section is at `path`.
pub(super) fn address(raw: &Server, path: &KeyPath) -> Result<HostPort, KeyError> {
    let host = raw.host.as_ref().map_or(DEFAULT_HOST, |host| &host.0.0);
    let address = HostPort::new(host, raw.port.as_ref().map_or(DEFAULT_PORT, |port| port.0));
    if raw.allow_any_address.unwrap_or(false) || is_private(&address) {
        return Ok(address);
    }
    Err(KeyError::refused(path.key("host"), quoted(host), REFUSAL))
}

fn is_private(address: &HostPort) -> bool {
    match address.ip() {
        Some(ip) => ip.is_loopback() || AGENTS.contains(&ip.to_string().as_str()),
        // RFC 6761, section 6.3: these names lead to loopback.
        None => address.host == "localhost" || address.host.ends_with(".localhost"),
    }
}

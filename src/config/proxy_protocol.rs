//! Resolves the networks of the load balancers that send headers of the PROXY protocol.

use std::net::IpAddr;

use ipnet::IpNet;

use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::mode::Mode;
use super::raw::ProxyProtocol;
use super::scalars::Scalar;
use crate::net::{Address, Networks};

impl Scalar for IpNet {
    const EXPECTED: &'static str =
        "an IP address, or a network such as 10.0.0.0/16 or 2001:db8::/32 without bits behind its length";

    fn read(text: &str) -> Option<Self> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(Self::from)).ok()?;
        Some(network).filter(|network| *network == network.trunc())
    }
}

/// `proxy.proxy_protocol.from`. Empty in a client, whose peers are processes of its machine. Refuses a section without effect.
pub(super) fn resolve(
    raw: Option<&ProxyProtocol>,
    mode: Mode,
    listen: &Address,
) -> Result<Networks, KeyError> {
    let Some(ProxyProtocol { from }) = raw else { return Ok(Networks::default()) };
    let section = KeyPath::of(&["proxy", "proxy_protocol"]);
    if from.is_empty() {
        let reason = "it names no network, so nothing sends a header; list the addresses of the load balancers in `from`";
        return Err(KeyError::of_key(section, reason));
    }
    match (mode, listen) {
        (Mode::Client | Mode::DirectClient, _) => Ok(Networks::default()),
        (Mode::Server, Address::Unix(_)) => {
            let reason = "a Unix socket has no network, and proxy.listen_addr is one; remove this section, or listen at HOST:PORT";
            Err(KeyError::of_key(section, reason))
        }
        (Mode::Server, Address::Tcp(_)) => Ok(from.iter().map(|network| network.0).collect()),
    }
}

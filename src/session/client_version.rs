//! The version of a client, which a server receives if it requested it.
//!
//! A server requests it in the TLS handshake, before the startup packet: of the protocols that the client offers by ALPN it
//! selects [`EXTENSION_ALPN`]. A server that does not know that protocol selects another one or none (RFC 7301 section 3.2), and
//! then receives no such parameter. Without TLS nothing precedes the startup packet, so nothing is sent.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::Failure;
use super::connect::HopStream;
use crate::net::Stream;
use crate::tls::EXTENSION_ALPN;
use crate::wire::StartupMessage;

/// The startup parameter with the version of the client.
pub const VERSION: &str = "rds-auth-proxy.version";

/// The longest version that a server accepts, in bytes.
const MAX_LENGTH: usize = 64;

/// How many versions have a metric each; further ones share one. A peer may send any text.
const MAX_VERSIONS: usize = 20;

static COUNTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Writes the startup packet for the hop, with the version of this program if the hop requested it.
pub(super) fn encode_startup(startup: &StartupMessage, hop: &mut HopStream) -> Result<(), Failure> {
    if !hop.is_database && requests_version(hop.framed.stream()) {
        let mut versioned = startup.clone();
        let encoded = versioned.set(VERSION, env!("CARGO_PKG_VERSION").as_bytes());
        // A packet that has no room for it goes without.
        if encoded.and_then(|()| versioned.encode(hop.framed.out())).is_ok() {
            return Ok(());
        }
    }
    startup.encode(hop.framed.out()).map_err(Failure::Startup)
}

/// The version in a startup packet from `app`; absent if this process did not request it, or cannot accept it.
pub(super) fn received_version(startup: &StartupMessage, app: &Stream) -> Option<String> {
    let version = startup.get(VERSION).filter(|_| requests_version(app))?;
    let is_valid = |byte: &u8| byte.is_ascii_alphanumeric() || b".+-".contains(byte);
    let accepted = (1..=MAX_LENGTH).contains(&version.len()) && version.iter().all(is_valid);
    accepted.then(|| String::from_utf8_lossy(version).into_owned())
}

/// The label of this version for metrics; an empty one is `unknown`.
pub(super) fn version_label(version: &str) -> String {
    let mut counted = COUNTED.lock();
    label(&mut counted, version)
}

fn label(counted: &mut BTreeSet<String>, version: &str) -> String {
    if version.is_empty() {
        return "unknown".into();
    }
    if !counted.contains(version) {
        if counted.len() == MAX_VERSIONS {
            return "other".into();
        }
        counted.insert(version.to_owned());
    }
    version.to_owned()
}

fn requests_version(stream: &Stream) -> bool {
    stream.alpn() == Some(EXTENSION_ALPN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_number_of_versions_is_counted_separately() {
        let mut counted = BTreeSet::new();
        assert_eq!(label(&mut counted, ""), "unknown");
        for number in 0..1000 {
            let version = format!("1.{number}.0");
            let expected = if number < MAX_VERSIONS { &version } else { "other" };
            assert_eq!(label(&mut counted, &version), expected);
        }
        assert_eq!(label(&mut counted, "1.0.0"), "1.0.0", "a counted version keeps its label");
        assert_eq!(counted.len(), MAX_VERSIONS);
    }
}

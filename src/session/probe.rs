//! The step connect without a login: whether a hop can be reached, and what its TLS is.

use super::connect::{HopStream, reach, secure, withhold_after};
use super::deadline::Deadline;
use super::{Failure, Hop, Limits};
use crate::net::Framed;
use crate::tls::{ClientCertificate, EXTENSION_ALPN, PeerCertificate};

/// A connection to a hop, after TLS where its mode demands that.
pub struct Probe {
    /// The name of the hop; with that of its pod, where it was reached through a tunnel.
    pub name: String,
    /// The TLS version; absent without TLS.
    pub tls_version: Option<&'static str>,
    /// Its certificate; absent without TLS.
    pub certificate: Option<PeerCertificate>,
    /// Whether it selected the protocol that only a server of this program knows.
    pub knows_extension: bool,
    pub(super) framed: Framed,
}

impl Probe {
    /// Opens a connection and closes it. Returns the name of the hop.
    pub async fn reach(hop: &Hop, limits: &Limits) -> Result<String, Failure> {
        let deadline = Deadline::new(limits.handshake_timeout);
        let limit = hop.transport.limit(limits.connect_timeout, deadline.left_to_try());
        Ok(deadline.within("connecting to", &hop.name, reach(hop, limit)).await?.hop.name)
    }

    /// Opens a connection and makes the TLS that the hop's mode demands, as for a login.
    pub async fn secure(hop: &Hop, limits: &Limits) -> Result<Self, Failure> {
        let deadline = Deadline::new(limits.handshake_timeout);
        let mut certificate = ClientCertificate::Shown;
        loop {
            let limit = hop.transport.limit(limits.connect_timeout, deadline.left_to_try());
            let reached = deadline.within("connecting to", &hop.name, reach(hop, limit)).await?;
            match deadline.within("making TLS with", &hop.name, secure(reached, certificate)).await {
                Err(failure) if withhold_after(&failure, hop, &mut certificate) => {}
                secured => return secured.map(Self::of),
            }
        }
    }

    fn of(stream: HopStream) -> Self {
        let HopStream { framed, name, .. } = stream;
        let stream = framed.stream();
        Self {
            name,
            tls_version: stream.tls_version(),
            certificate: PeerCertificate::of(stream),
            knows_extension: stream.alpn() == Some(EXTENSION_ALPN),
            framed,
        }
    }
}

//! Step 4, connect: reaches the hop and makes TLS with it.

use std::time::Duration;

use super::message::flush_to_hop;
use super::{Failure, Hop, Transport};
use crate::net::{Framed, Socket, Stream, dial};
use crate::tls::SslMode;
use crate::wire::encode_ssl_request;

/// Opens a connection to the hop within `limit`, then makes the TLS that the hop's settings demand.
///
/// `carries_password` says that a password will be sent: then a hop that has no TLS is only good enough where the
/// configuration turned TLS off.
pub(super) async fn connect(hop: &Hop, limit: Duration, carries_password: bool) -> Result<Framed, Failure> {
    let stream = reach(hop, limit).await?;
    if hop.tls.mode() == SslMode::Disable {
        return Ok(Framed::new(stream));
    }
    let mut framed = Framed::new(stream);
    encode_ssl_request(framed.out());
    flush_to_hop(&mut framed, &hop.name).await?;
    let answer =
        framed.read_byte().await.map_err(|source| Failure::HopGone { hop: hop.name.clone(), source })?;
    match answer {
        Some(b'S') => encrypt(hop, framed).await,
        Some(b'N') if hop.tls.mode() == SslMode::Prefer && !carries_password => Ok(framed),
        Some(b'N') => Err(Failure::NoTls { hop: hop.name.clone(), mode: hop.tls.mode() }),
        Some(b'E') => Err(Failure::ErrorBeforeTls { hop: hop.name.clone() }),
        Some(byte) => Err(Failure::NotPostgres { hop: hop.name.clone(), byte }),
        None => Err(Failure::HungUpBeforeTls { hop: hop.name.clone() }),
    }
}

async fn reach(hop: &Hop, limit: Duration) -> Result<Stream, Failure> {
    let reached = match &hop.transport {
        Transport::Address(address) => dial(address, limit).await.map(Stream::Plain),
        Transport::Tunnel { dial, .. } => dial.dial(limit).await,
    };
    reached.map_err(|source| Failure::Unreachable { hop: hop.name.clone(), source })
}

/// The answer `S` was one byte, so nothing that came in clear can be taken for TLS.
async fn encrypt(hop: &Hop, framed: Framed) -> Result<Framed, Failure> {
    let socket = match framed.into_stream() {
        Stream::Plain(socket) => socket,
        encrypted @ Stream::Tls(_) => Socket::Tunnel(Box::new(encrypted)),
    };
    let stream = hop.tls.connect(socket, hop.transport.host()).await;
    stream.map(Framed::new).map_err(|source| Failure::HopTls { hop: hop.name.clone(), source })
}

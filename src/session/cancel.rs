//! Cancel requests. Each arrives on a separate connection, and is delivered on a separate connection.

use std::time::Duration;

use bytes::BufMut;
use tokio::time::timeout;
use tracing::debug;

use super::connect::{connect, withhold_after};
use super::message::{flush_to_hop, lost};
use super::{Action, Failure, Hop, Opening, Request, Role};
use crate::tls::{ClientCertificate, TlsError};
use crate::wire::{FirstPacket, TERMINATE};

/// How long the hop may take to act on it. It sends no answer and closes (PostgreSQL manual, "Canceling Requests in
/// Progress").
const ACTING: Duration = Duration::from_secs(5);

/// The byte with which a server acknowledges the cancel request of a client that sent [`TERMINATE`] behind it. A server that does
/// not know the byte only closes the connection, and one that does not know cancel requests refuses the startup packet, whatever
/// follows it. No message that can follow a startup packet begins with this byte.
pub(super) const ACKNOWLEDGED: u8 = b'C';

/// Sends the packet to the hop and waits until the hop acknowledges it or closes the connection: the application's connection
/// closes only after the cancel took effect.
pub(super) async fn deliver(hop: &Hop, packet: &FirstPacket, limit: Duration) -> Result<(), Failure> {
    let mut certificate = ClientCertificate::Shown;
    loop {
        match deliver_once(hop, packet, limit, certificate).await {
            Err(failure) if withhold_after(&failure, hop, &mut certificate) => {}
            done => return done,
        }
    }
}

async fn deliver_once(
    hop: &Hop,
    packet: &FirstPacket,
    limit: Duration,
    certificate: ClientCertificate,
) -> Result<(), Failure> {
    let mut framed = connect(hop, limit, certificate).await?.framed;
    packet.encode(framed.out()).map_err(Failure::Startup)?;
    if !hop.is_database {
        framed.out().put_slice(TERMINATE);
    }
    flush_to_hop(&mut framed, &hop.name).await?;
    // PostgreSQL sends no answer, whatever the result; a server that refuses the target does.
    match timeout(ACTING, framed.read_byte()).await {
        Ok(Ok(Some(ACKNOWLEDGED))) if !hop.is_database => Ok(()),
        Ok(Ok(Some(_))) => Err(Failure::CancelRefused(hop.name.clone())),
        Ok(Err(source)) if TlsError::from_alert(&hop.name, &source).is_some() => Err(lost(&hop.name, source)),
        _ => Ok(()),
    }
}

/// Cancels the query that an ended session left running at this hop, within this time. A failure is logged only: the
/// application has gone.
pub(super) async fn cancel_left_behind<R: Role>(role: &R, hop: &Hop, request: Request, limit: Duration) {
    let delivering = async {
        if let (true, Opening::Cancel(cancel)) = (hop.is_database, &request.opening) {
            return deliver(hop, &FirstPacket::Cancel(cancel.clone()), limit).await;
        }
        // A server has to read the target in the packet, which the role adds.
        let route = role.authorize(request).await?;
        match route.action {
            Action::Cancel(packet) => deliver(&route.hop, &packet, limit).await,
            Action::Session(_) => Ok(()),
        }
    };
    match timeout(limit, delivering).await {
        Ok(Ok(())) => debug!("cancelled the query that the session left running"),
        Ok(Err(error)) => debug!(%error, "the query that the session left running could not be cancelled"),
        Err(_) => debug!("the query that the session left running could not be cancelled in time"),
    }
}

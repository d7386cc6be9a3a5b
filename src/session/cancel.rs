//! Cancel requests: they arrive on connections of their own, and are delivered on connections of their own.

use std::time::Duration;

use tokio::time::timeout;
use tracing::debug;

use super::connect::connect;
use super::message::flush_to_hop;
use super::{Failure, Hop};
use crate::wire::{CancelRequest, FirstPacket};

/// How long the hop may take to act on it; it answers nothing and closes (PostgreSQL manual, "Canceling Requests in
/// Progress").
const ACTING: Duration = Duration::from_secs(5);

/// Sends the packet to the hop and waits until it has closed the connection, so that who asked for the cancel hears
/// nothing before it took effect.
pub(super) async fn deliver(hop: &Hop, packet: &FirstPacket, limit: Duration) -> Result<(), Failure> {
    let mut framed = connect(hop, limit, false).await?;
    packet.encode(framed.out()).map_err(Failure::Startup)?;
    flush_to_hop(&mut framed, &hop.name).await?;
    // PostgreSQL answers nothing, whatever it made of the request; a server that refuses the target does.
    match timeout(ACTING, framed.read_byte()).await {
        Ok(Ok(Some(_))) => Err(Failure::CancelRefused { hop: hop.name.clone() }),
        _ => Ok(()),
    }
}

/// Cancels what a session that has ended left running, within this time. Nobody is left to hear of a failure.
pub(super) async fn cancel_left_behind(hop: &Hop, cancel: CancelRequest, limit: Duration) {
    match timeout(limit, deliver(hop, &FirstPacket::Cancel(cancel), limit)).await {
        Ok(Ok(())) => debug!("cancelled what the session left running"),
        Ok(Err(error)) => debug!(%error, "what the session left running could not be cancelled"),
        Err(_) => debug!("what the session left running could not be cancelled in time"),
    }
}

//! The header of the PROXY protocol, which a load balancer sends before the first byte of the application.

use std::io;

use tracing::debug;

use super::Failure;
use super::negotiate::Refused;
use crate::net::{Framed, Peer};
use crate::wire::{DecodeError, decode_proxy_header, proxy_header_missing};

/// Reads the header, and no byte behind it. Returns the peer that it states; the load balancer itself where it states none.
pub(super) async fn read_proxy_header(
    mut app: Framed,
    load_balancer: Peer,
) -> Result<(Framed, Peer), Refused> {
    match stated_peer(&mut app).await {
        Ok(stated) => {
            let peer = stated.unwrap_or(load_balancer);
            debug!(%load_balancer, %peer, "PROXY protocol header");
            Ok((app, peer))
        }
        Err(failure) => Err(Refused { app: Some(app), failure }),
    }
}

async fn stated_peer(app: &mut Framed) -> Result<Option<Peer>, Failure> {
    // A health check may close without a byte, and is no failure then.
    let first =
        app.read_byte().await.and_then(|first| first.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()));
    let mut header = vec![first.map_err(Failure::ApplicationGone)?];
    let cut = |_| Failure::ProxyHeader(DecodeError::Truncated { message: "PROXY protocol header" });
    loop {
        let missing = proxy_header_missing(&header).map_err(Failure::ProxyHeader)?;
        if missing == 0 {
            let stated = decode_proxy_header(&header).map_err(Failure::ProxyHeader)?;
            return Ok(stated.map(Peer::Tcp));
        }
        let length = header.len();
        header.resize(length + missing, 0);
        app.read_exact(header.get_mut(length..).unwrap_or_default()).await.map_err(cut)?;
    }
}

//! A local port in front of the tunnel, for tools that are no PostgreSQL applications.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use crate::catalog::Dial;
use crate::net::{Accepted, Listener, Socket, accept};
use crate::shutdown::Shutdown;

/// Connections at once. More wait in the listen queue of the system.
const CONNECTIONS: usize = 256;

/// How long a connection may wait for its stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// Joins every connection of the listener to a stream of the tunnel, until the proxy drains; running ones go on until it
/// ends. A connection without a stream is closed, and the reason logged: its protocol, and so the form of an error, is
/// unknown.
///
/// Any program that can connect to the listener can reach the upstream proxy with the cluster credentials of this
/// process.
pub async fn forward(listener: Listener, tunnel: Arc<dyn Dial>, shutdown: Shutdown) {
    let connections = accept(listener, CONNECTIONS, shutdown.draining(), |accepted| {
        let (tunnel, shutdown) = (Arc::clone(&tunnel), shutdown.clone());
        async move {
            tokio::select! {
                () = join(accepted, tunnel) => {}
                () = shutdown.ended() => {}
            }
        }
    });
    connections.await;
}

async fn join(accepted: Accepted, tunnel: Arc<dyn Dial>) {
    let Accepted { mut socket, peer } = accepted;
    let mut stream = match tunnel.dial(OPEN_TIMEOUT).await {
        Ok(stream) => stream,
        Err(error) => {
            return warn!(?peer, %error, "a forwarded connection was closed: the pod cannot be reached");
        }
    };
    match copy(&mut socket, &mut stream).await {
        Ok((sent, received)) => debug!(?peer, sent, received, "a forwarded connection is over"),
        Err(error) => debug!(?peer, %error, "a forwarded connection broke off"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "other tools open a few connections, whose buffers end with them"
)]
async fn copy(socket: &mut Socket, stream: &mut Socket) -> std::io::Result<(u64, u64)> {
    tokio::io::copy_bidirectional(socket, stream).await
}

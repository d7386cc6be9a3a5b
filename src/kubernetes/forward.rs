//! A local port in front of the tunnel, for tools other than PostgreSQL applications.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use crate::catalog::Dial;
use crate::net::{Accepted, Listener, Socket, accept};
use crate::shutdown::Shutdown;

/// The most connections at a time. Further ones wait in the listen queue of the system.
const CONNECTIONS: usize = 256;

/// For opening the stream of a connection.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// Accepts connections until draining begins, and copies each to a stream of the tunnel until it ends or draining does.
/// A connection without a stream is closed and the reason logged: its protocol, and so the form of an error, is unknown.
///
/// Every process that can connect to the listener reaches the upstream proxy with the cluster credentials of this one.
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
        Ok(stream) => stream.socket,
        Err(error) => {
            return warn!(?peer, %error, "closed a forwarded connection: cannot open a stream to a pod");
        }
    };
    match copy(&mut socket, &mut stream).await {
        Ok((sent, received)) => debug!(?peer, sent, received, "a forwarded connection ended"),
        Err(error) => debug!(?peer, %error, "a forwarded connection failed"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "other tools open few connections, and the buffers end with them"
)]
async fn copy(socket: &mut Socket, stream: &mut Socket) -> std::io::Result<(u64, u64)> {
    tokio::io::copy_bidirectional(socket, stream).await
}

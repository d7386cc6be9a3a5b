//! A local port in front of the tunnel, for tools that are no PostgreSQL applications.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::catalog::Dial;
use crate::net::{Accepted, Listener, Socket};
use crate::shutdown::Shutdown;

/// Connections at once. More wait in the queue of the listener.
const CONNECTIONS: usize = 256;

/// How long a connection may wait for its stream.
const PATIENCE: Duration = Duration::from_secs(20);

/// Hands every connection that the listener accepts to a stream of the tunnel, until told to stop; then running ones
/// go on until told to end. A connection for which there is no stream is closed, and the reason logged: what language
/// it expects an error in is not known here.
///
/// Whoever can connect to the listener can reach the upstream proxy with the cluster credentials of this process.
pub async fn forward(mut listener: Listener, tunnel: Arc<dyn Dial>, shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut running = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            (place, accepted) = next => {
                let tunnel = Arc::clone(&tunnel);
                running.spawn(async move {
                    join(accepted, tunnel).await;
                    drop(place);
                });
            }
            Some(_) = running.join_next() => {}
            () = shutdown.draining() => break,
        }
    }
    drop(listener);
    tokio::select! {
        () = async { while running.join_next().await.is_some() {} } => {}
        () = shutdown.ended() => {}
    }
}

async fn join(accepted: Accepted, tunnel: Arc<dyn Dial>) {
    let Accepted { mut socket, peer } = accepted;
    let mut stream = match tunnel.dial(PATIENCE).await {
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
async fn copy(socket: &mut Socket, stream: &mut crate::net::Stream) -> std::io::Result<(u64, u64)> {
    tokio::io::copy_bidirectional(socket, stream).await
}

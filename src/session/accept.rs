//! Step 1, accept: takes connections from a listener and gives each a task, an id and a tracing span.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span};

use super::connection::serve_connection;
use super::pending::Admitted;
use super::{Door, Engine, Role};
use crate::net::{Accepted, Listener, Peer, Socket, UNLIMITED, accept};
use crate::shutdown::Shutdown;

/// A listener and what its connections have in common.
pub struct Entrance {
    /// Where connections arrive.
    pub listener: Listener,
    /// What the listener says about their target.
    pub door: Door,
    /// Closes the listener; its sessions continue.
    pub closed: CancellationToken,
}

impl Entrance {
    /// A listener that stays open as long as the proxy accepts connections.
    #[must_use]
    pub fn new(listener: Listener, door: Door) -> Self {
        Self { listener, door, closed: CancellationToken::new() }
    }
}

/// Serves a connection of this process itself, from its first byte to its last.
pub async fn serve_own<R: Role>(engine: &Engine<R>, socket: Socket, door: Door, shutdown: &Shutdown) {
    let peer = Peer::Unix;
    let (id, permit) = engine.admit(peer);
    let admitted = Admitted { id, accepted: Accepted { socket, peer }, door, permit };
    serve_connection(engine, admitted, shutdown).await;
}

/// Accepts connections until the proxy drains or the entrance is closed, and returns when the last session of this listener has
/// ended. The limits are the engine's, so that several listeners share them.
pub async fn serve<R: Role>(engine: Arc<Engine<R>>, entrance: Entrance, shutdown: Shutdown) {
    let Entrance { listener, door, closed } = entrance;
    let stop = async {
        tokio::select! {
            () = shutdown.draining() => {}
            () = closed.cancelled() => {}
        }
    };
    accept(listener, UNLIMITED, stop, |accepted| {
        let (id, permit) = engine.admit(accepted.peer);
        let admitted = Admitted { id, accepted, door: door.clone(), permit };
        let (engine, shutdown) = (Arc::clone(&engine), shutdown.clone());
        let connection = async move { serve_connection(&*engine, admitted, &shutdown).await };
        connection.instrument(info_span!("connection", id))
    })
    .await;
    engine.refusals.flush();
    engine.dropped.flush();
}

//! Step 1, accept: takes connections from a listener and gives each a task, an id and a tracing span.

use std::sync::Arc;

use tracing::{Instrument, info_span};

use super::connection::serve_connection;
use super::{Engine, Role};
use crate::net::{Listener, UNLIMITED, accept};
use crate::shutdown::Shutdown;

/// Accepts connections until the proxy drains, and returns when the last session of this listener has ended. The limits
/// are the engine's, so that several listeners share them.
pub async fn serve<R: Role>(engine: Arc<Engine<R>>, listener: Listener, shutdown: Shutdown) {
    accept(listener, UNLIMITED, shutdown.draining(), |accepted| {
        let (id, permit) = engine.admit(accepted.peer);
        let (engine, shutdown) = (Arc::clone(&engine), shutdown.clone());
        let connection = async move { serve_connection(&*engine, id, accepted, permit, &shutdown).await };
        connection.instrument(info_span!("connection", id))
    })
    .await;
    engine.refusals.flush();
    engine.dropped.flush();
}

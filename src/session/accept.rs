//! Step 1, accept: takes connections on, within limits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span, warn};

use super::life::live;
use super::limits::Places;
use super::{Limits, Role, meter};
use crate::net::{Accepted, Listener};
use crate::shutdown::Shutdown;
use crate::tls::Acceptor;

/// Everything that connections of one listener share.
pub struct Engine<R> {
    /// The policy.
    pub role: R,
    /// TLS towards applications; absent where it is off.
    pub acceptor: Option<Acceptor>,
    limits: RwLock<Arc<Limits>>,
}

impl<R: Role> Engine<R> {
    /// Puts the parts together.
    #[must_use]
    pub fn new(role: R, acceptor: Option<Acceptor>, limits: Limits) -> Self {
        meter::limited(&limits);
        Self { role, acceptor, limits: RwLock::new(Arc::new(limits)) }
    }

    /// Other limits, for connections to come.
    pub fn limit(&self, limits: Limits) {
        meter::limited(&limits);
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    pub(super) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Accepts connections until the proxy drains, and returns when the last session has ended.
pub async fn serve<R: Role>(engine: Arc<Engine<R>>, mut listener: Listener, shutdown: Shutdown) {
    let places = Places::default();
    let sessions = TaskTracker::new();
    let ids = AtomicU64::new(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.draining() => break,
        };
        let Some(place) = places.take(&engine.limits(), accepted.peer.ip()) else {
            meter::unheard();
            warn!(peer = %accepted.peer, "closed unheard: far more connections than max_connections");
            continue;
        };
        let id = ids.fetch_add(1, Ordering::Relaxed);
        let (engine, shutdown) = (Arc::clone(&engine), shutdown.clone());
        let span = info_span!("connection", id);
        let session = async move {
            live(&*engine, Accepted { ..accepted }, place, &shutdown).await;
        };
        sessions.spawn(session.instrument(span));
    }
    drop(listener);
    sessions.close();
    sessions.wait().await;
}

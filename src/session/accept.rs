//! Step 1, accept: takes connections on, within limits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span, warn};

use super::life::live;
use super::places::Places;
use super::{Limits, Role, meter};
use crate::net::{Listener, Peer, Waiting};
use crate::shutdown::Shutdown;
use crate::tls::Acceptor;

/// How long until the next line about connections that are closed unheard: who floods the listener shall not flood the
/// log.
const TELL_AGAIN: Duration = Duration::from_secs(10);

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
    let (waiting, places) = (Waiting::default(), Places::default());
    let sessions = TaskTracker::new();
    let mut unheard = Unheard::default();
    let ids = AtomicU64::new(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.draining() => break,
        };
        let (turn, dismissed) = waiting.enter(accepted.peer, engine.limits().waiting());
        if let Some(peer) = dismissed {
            unheard.note(&peer);
        }
        let id = ids.fetch_add(1, Ordering::Relaxed);
        let (engine, places, shutdown) = (Arc::clone(&engine), places.clone(), shutdown.clone());
        let span = info_span!("connection", id);
        let session = async move { live(&*engine, &places, accepted, turn, &shutdown).await };
        sessions.spawn(session.instrument(span));
    }
    drop(listener);
    sessions.close();
    sessions.wait().await;
}

/// Connections that had to make room before they said what they wanted.
#[derive(Default)]
struct Unheard {
    told: Option<Instant>,
    untold: u64,
}

impl Unheard {
    /// Counts one, and writes a line about those that came since the last one.
    fn note(&mut self, peer: &Peer) {
        self.untold += 1;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            warn!(%peer, connections = self.untold, "closed unheard: too many connections do not say what they want");
            *self = Self { told: Some(Instant::now()), untold: 0 };
        }
    }
}

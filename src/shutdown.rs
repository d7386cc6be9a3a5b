//! The shutdown signal of the process, in three phases.

use tokio_util::sync::CancellationToken;

/// A shutdown signal that all tasks share. Its phases: announced, then no new work, then end of the running sessions.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    announced: CancellationToken,
    drain: CancellationToken,
    end: CancellationToken,
}

impl Shutdown {
    /// A signal in its initial state: no phase has begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the first phase: everything continues, but readiness probes fail, so that new connections go elsewhere.
    pub fn announce(&self) {
        self.announced.cancel();
    }

    /// Begins the second phase: listeners stop accepting, running sessions continue. Implies [`Shutdown::announce`].
    pub fn drain(&self) {
        self.announce();
        self.drain.cancel();
    }

    /// Begins the last phase: running sessions end. Implies [`Shutdown::drain`].
    pub fn end(&self) {
        self.drain();
        self.end.cancel();
    }

    /// Whether any phase has begun.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.announced.is_cancelled()
    }

    /// Completes when the second phase begins.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Completes when the last phase begins.
    pub async fn ended(&self) {
        self.end.cancelled().await;
    }
}

//! The order to stop, in two degrees.

use tokio_util::sync::CancellationToken;

/// Told to everything that runs: first to stop taking on work, later to end what is left.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    end: CancellationToken,
}

impl Shutdown {
    /// An order that has not been given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listeners stop accepting; running sessions go on.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Running sessions end as well. Implies [`Shutdown::drain`].
    pub fn end(&self) {
        self.drain.cancel();
        self.end.cancel();
    }

    /// Whether [`Shutdown::drain`] was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Resolves once no new work may be taken on.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Resolves once running sessions have to end.
    pub async fn ended(&self) {
        self.end.cancelled().await;
    }
}

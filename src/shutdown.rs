//! The order to stop, in three degrees.

use tokio_util::sync::CancellationToken;

/// Told to everything that runs: first that it will stop, then to stop taking on work, at last to end what is left.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    announced: CancellationToken,
    drain: CancellationToken,
    end: CancellationToken,
}

impl Shutdown {
    /// An order that has not been given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything goes on, but whoever asks is told to send new work elsewhere.
    pub fn announce(&self) {
        self.announced.cancel();
    }

    /// Listeners stop accepting; running sessions go on. Implies [`Shutdown::announce`].
    pub fn drain(&self) {
        self.announce();
        self.drain.cancel();
    }

    /// Running sessions end as well. Implies [`Shutdown::drain`].
    pub fn end(&self) {
        self.drain();
        self.end.cancel();
    }

    /// Whether the order was given, in whatever degree.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.announced.is_cancelled()
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

//! What a session has moved so far, for readers outside its task.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The bytes that a session has moved and when it last moved some. The session stores them without a lock, once for all that
/// it can move at a time; a reader may see one of the numbers before the others.
pub(in super::super) struct Activity {
    began: Instant,
    sent: AtomicU64,
    received: AtomicU64,
    /// Milliseconds after `began`.
    last_move: AtomicU64,
}

impl Activity {
    pub(in super::super) fn new(began: Instant) -> Self {
        Self { began, sent: AtomicU64::new(0), received: AtomicU64::new(0), last_move: AtomicU64::new(0) }
    }

    /// The bytes since the beginning, of which the last moved at this time.
    pub(in super::super) fn note(&self, sent: u64, received: u64, last_move: Instant) {
        let after = u64::try_from((last_move - self.began).as_millis()).unwrap_or(u64::MAX);
        self.sent.store(sent, Ordering::Relaxed);
        self.received.store(received, Ordering::Relaxed);
        self.last_move.store(after, Ordering::Relaxed);
    }

    /// Bytes from the application to the hop.
    pub(in super::super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes from the hop to the application.
    pub(in super::super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The time since the beginning.
    pub(in super::super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// The time since the last byte, or since the beginning.
    pub(in super::super) fn idle(&self) -> Duration {
        let last_move = Duration::from_millis(self.last_move.load(Ordering::Relaxed));
        self.age().saturating_sub(last_move)
    }
}

//! One login in the queue, and what it counts against.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::session::slots::Slot;

/// How long a login may wait for its application before it may have to make room. A driver answers within a round trip, and a
/// login that arrives waits no longer than this for one that never answers.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// A login that has not ended.
pub(super) struct Entry {
    pub(super) peer: Option<IpAddr>,
    pub(super) target: Arc<str>,
    /// The application has nothing more to send.
    pub(super) has_password: bool,
    pub(super) stage: Stage,
    /// Its slot among the connections, if it has one.
    pub(super) slot: Option<Arc<Slot>>,
    /// Notified when the queue changes the stage.
    pub(super) wake: Arc<Notify>,
}

/// How far a login is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It may not begin yet.
    Waiting,
    /// The proxy or the database works on it.
    UnderWay,
    /// It waits for the application's password.
    AwaitsPassword {
        /// Since when.
        since: Instant,
    },
    /// The database has refused it; the application reads that later.
    Slowed,
    /// It made room and is about to end.
    Dropped,
}

impl Entry {
    /// Whether it counts against `max_logins_per_target`.
    pub(super) fn holds_target(&self) -> bool {
        matches!(self.stage, Stage::UnderWay | Stage::AwaitsPassword { .. })
    }

    /// Whether it counts against `max_logins_per_peer`.
    pub(super) fn holds_peer(&self) -> bool {
        self.peer.is_some() && (self.holds_target() || self.stage == Stage::Slowed)
    }

    /// Since when it waits for its application, if it may have to make room by now.
    pub(super) fn droppable(&self, now: Instant) -> Option<Instant> {
        match self.stage {
            Stage::AwaitsPassword { since } if now >= since + GRACE => Some(since),
            Stage::AwaitsPassword { .. }
            | Stage::Waiting
            | Stage::UnderWay
            | Stage::Slowed
            | Stage::Dropped => None,
        }
    }

    /// Begins a login that waits.
    pub(super) fn begin(&mut self) {
        self.stage = Stage::UnderWay;
        self.wake.notify_one();
    }

    /// Drops a login. Its slot is free at once, for the connection that it makes room for.
    pub(super) fn make_room(&mut self) {
        self.stage = Stage::Dropped;
        if let Some(slot) = &self.slot {
            slot.release();
        }
        self.wake.notify_one();
    }
}

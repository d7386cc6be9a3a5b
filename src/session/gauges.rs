//! The gauges of an engine that are measured when they are read.

use super::guesses::Guesses;
use super::live::LiveSessions;
use super::metrics;
use crate::net::Pending;

/// Measures the connections of one engine.
#[derive(Clone)]
pub struct Gauges {
    pub(super) sessions: LiveSessions,
    pub(super) pending: Pending,
    pub(super) guesses: Guesses,
}

impl Gauges {
    /// Sets the gauges, and counts the bytes that open sessions have moved since the last call.
    pub fn measure(&self) {
        metrics::pending(self.pending.count());
        metrics::guesses(self.guesses.largest());
        self.sessions.measure();
    }
}

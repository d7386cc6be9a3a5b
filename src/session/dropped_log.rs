//! The log lines about pending connections that were dropped to make room. The first one is written at once. Those that
//! follow are counted, and share a line every 10 seconds: a flood of connections must not become a flood of lines.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;
use tracing::warn;

use crate::net::Peer;

/// The time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Writes the lines. Clones share the count.
#[derive(Clone, Default)]
pub(super) struct DroppedLog(Arc<Mutex<Dropped>>);

/// Connections that were dropped since the last line.
#[derive(Default)]
struct Dropped {
    connections: u64,
    last: Option<Peer>,
    /// Whether the task that writes the later lines runs.
    reporting: bool,
}

impl DroppedLog {
    /// Writes a line about this connection, or counts it for a later one.
    pub(super) fn add(&self, peer: Peer) {
        let mut dropped = self.0.lock();
        dropped.connections += 1;
        dropped.last = Some(peer);
        let start = !std::mem::replace(&mut dropped.reporting, true);
        drop(dropped);
        if start {
            self.flush();
            tokio::spawn(self.clone().report());
        }
    }

    /// Writes the line about all connections that were only counted. Returns whether there were any.
    pub(super) fn flush(&self) -> bool {
        let (peer, connections) = self.0.lock().take();
        let Some(peer) = peer else { return false };
        warn!(%peer, connections, "dropped before the startup packet: too many pending connections");
        true
    }

    /// Writes a line after each interval, until nothing was dropped in one.
    async fn report(self) {
        loop {
            sleep(INTERVAL).await;
            if !self.flush() && self.0.lock().end() {
                return;
            }
        }
    }
}

impl Dropped {
    fn take(&mut self) -> (Option<Peer>, u64) {
        (self.last.take(), std::mem::take(&mut self.connections))
    }

    /// Ends the reports, unless a connection was dropped meanwhile.
    fn end(&mut self) -> bool {
        self.reporting = self.connections > 0;
        !self.reporting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_counted_is_written_within_ten_seconds_without_a_further_event() {
        let log = DroppedLog::default();
        let counted = || log.0.lock().connections;
        log.add(Peer::Unix);
        assert_eq!(counted(), 0, "the first line is written at once");
        for _ in 0..5 {
            log.add(Peer::Unix);
        }
        assert_eq!(counted(), 5);
        sleep(INTERVAL + Duration::from_millis(1)).await;
        assert_eq!(counted(), 0);
        sleep(INTERVAL).await;
        assert!(!log.0.lock().reporting, "the task ends");
        log.add(Peer::Unix);
        assert_eq!(counted(), 0, "and starts again");
    }
}

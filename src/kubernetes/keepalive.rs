//! Pings, and when silence means that the path is dead.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How many silent intervals in a row, each begun with a ping, make a path dead.
const MAX_SILENT_INTERVALS: u8 = 2;

/// How many bytes the other side may have left unread while an answer to a ping is still expected. A pod whose database
/// waits for a lock stops reading once the buffers on the path are full, and a ping behind unread data gets no answer.
/// Whether such a path is dead is left to TCP. Most queries are shorter than this.
const MAX_UNREAD_BYTES: usize = 16 * 1024;

/// The keepalive of one stream.
pub(super) struct Keepalive {
    interval: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether a ping was sent.
    pinged: bool,
    /// Whether anything arrived in this interval.
    received: bool,
    silent_intervals: u8,
    /// At most how many bytes the other side has not read: those sent since the last ping that it answered.
    unread_bytes: usize,
    /// How many of these were sent after the oldest ping without an answer.
    unread_after_ping: Option<usize>,
}

/// What to do at the end of an interval.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tick {
    /// Send a ping.
    Ping,
    /// Fail: the path is dead.
    Dead,
}

impl Keepalive {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            timer: Box::pin(sleep(interval)),
            pinged: false,
            received: false,
            silent_intervals: 0,
            unread_bytes: 0,
            unread_after_ping: None,
        }
    }

    /// Records that a message arrived, of any kind.
    pub(super) fn message_received(&mut self) {
        self.received = true;
    }

    /// Records that `amount` bytes were sent.
    pub(super) fn bytes_sent(&mut self, amount: usize) {
        self.unread_bytes = self.unread_bytes.saturating_add(amount);
        self.unread_after_ping = self.unread_after_ping.map(|unread| unread.saturating_add(amount));
    }

    /// Records the answer to a ping: the other side has read everything before that ping.
    pub(super) fn pong_received(&mut self) {
        self.unread_bytes = self.unread_after_ping.take().unwrap_or(self.unread_bytes);
    }

    /// Whether the interval is over.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.timer.deadline()
    }

    /// Ends this interval within `limit`.
    pub(super) fn shorten(&mut self, limit: Duration) {
        let by = Instant::now() + limit;
        if self.timer.deadline() > by {
            self.timer.as_mut().reset(by);
        }
    }

    /// Is ready at the end of each interval. `reading` says whether the local side reads: while it does not, answers
    /// stay in the buffers, and silence means nothing.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, reading: bool) -> Poll<Tick> {
        ready!(self.timer.as_mut().poll(context));
        self.timer.as_mut().reset(Instant::now() + self.interval);
        let expected = self.pinged && reading && self.unread_bytes <= MAX_UNREAD_BYTES;
        self.silent_intervals = if expected && !self.received { self.silent_intervals + 1 } else { 0 };
        self.pinged = true;
        self.received = false;
        self.unread_after_ping.get_or_insert(0);
        let dead = self.silent_intervals >= MAX_SILENT_INTERVALS;
        Poll::Ready(if dead { Tick::Dead } else { Tick::Ping })
    }

    /// The duration of the silence that makes a path dead.
    pub(super) fn timeout(&self) -> Duration {
        self.interval * u32::from(MAX_SILENT_INTERVALS)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn next(keepalive: &mut Keepalive, reading: bool) -> Tick {
        poll_fn(|context| keepalive.poll(context, reading)).await
    }

    #[tokio::test(start_paused = true)]
    async fn two_silent_intervals_end_the_stream() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(Duration::from_secs(20));
        assert_eq!(next(&mut keepalive, true).await, Tick::Ping);
        assert_eq!(next(&mut keepalive, true).await, Tick::Ping);
        assert_eq!(next(&mut keepalive, true).await, Tick::Dead);
        assert_eq!(start.elapsed().as_secs(), 60);
        assert_eq!(keepalive.timeout().as_secs(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_received_message_resets_the_count() {
        let mut keepalive = Keepalive::new(Duration::from_secs(20));
        for _ in 0..10 {
            assert_eq!(next(&mut keepalive, true).await, Tick::Ping);
            assert_eq!(next(&mut keepalive, true).await, Tick::Ping);
            keepalive.message_received();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_does_not_count_while_the_local_side_does_not_read() {
        let mut keepalive = Keepalive::new(Duration::from_secs(20));
        for _ in 0..10 {
            assert_eq!(next(&mut keepalive, false).await, Tick::Ping);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_does_not_count_while_much_is_unread() {
        let mut keepalive = Keepalive::new(Duration::from_secs(20));
        keepalive.bytes_sent(MAX_UNREAD_BYTES);
        assert_eq!(next(&mut keepalive, true).await, Tick::Ping);
        keepalive.bytes_sent(MAX_UNREAD_BYTES + 1);
        keepalive.message_received();
        keepalive.pong_received();
        for _ in 0..10 {
            assert_eq!(
                next(&mut keepalive, true).await,
                Tick::Ping,
                "the answer confirms only what was sent before the ping"
            );
        }
        keepalive.bytes_sent(MAX_UNREAD_BYTES);
        keepalive.message_received();
        keepalive.pong_received();
        assert_eq!(next(&mut keepalive, true).await, Tick::Ping, "a message arrived in this interval");
        assert_eq!(
            next(&mut keepalive, true).await,
            Tick::Ping,
            "what was sent after the oldest ping is still unread"
        );
        keepalive.message_received();
        keepalive.pong_received();
        let ticks = [
            next(&mut keepalive, true).await,
            next(&mut keepalive, true).await,
            next(&mut keepalive, true).await,
        ];
        assert_eq!(ticks, [Tick::Ping, Tick::Ping, Tick::Dead], "everything is read now");
    }
}

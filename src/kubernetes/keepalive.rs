//! Pings, and when silence means that the path is dead.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// After how many intervals without a sign of life, each begun with a ping, the path is dead.
const SILENT: u8 = 2;

/// How many bytes the other side may have left unread and still be expected to read a ping. A pod whose database waits
/// for a lock reads nothing once the buffers on the way are full, and what waits before a ping keeps it from being
/// answered. Whether such a path is dead is for TCP to say; most queries are shorter than this.
const ROOM: usize = 16 * 1024;

/// The clock of one stream.
pub(super) struct Keepalive {
    every: Duration,
    timer: Pin<Box<Sleep>>,
    asked: bool,
    heard: bool,
    silent: u8,
    /// How many bytes were sent since the last ping that was answered, at most.
    unread: usize,
    /// How many of them after a ping that is not.
    after_ping: Option<usize>,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tick {
    /// Send a ping.
    Ping,
    /// Give up.
    Dead,
}

impl Keepalive {
    pub(super) fn new(every: Duration) -> Self {
        let timer = Box::pin(sleep(every));
        Self { every, timer, asked: false, heard: false, silent: 0, unread: 0, after_ping: None }
    }

    /// Anything at all came from the other side.
    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// That many bytes are on their way.
    pub(super) fn sent(&mut self, amount: usize) {
        self.unread = self.unread.saturating_add(amount);
        self.after_ping = self.after_ping.map(|after| after.saturating_add(amount));
    }

    /// A ping was answered, so what was sent before it has been read.
    pub(super) fn answered(&mut self) {
        self.unread = self.after_ping.take().unwrap_or(self.unread);
    }

    /// Whether [`Keepalive::poll`] has something to say.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.timer.deadline()
    }

    /// Makes the next beat come within `limit`.
    pub(super) fn hasten(&mut self, limit: Duration) {
        let by = Instant::now() + limit;
        if self.timer.deadline() > by {
            self.timer.as_mut().reset(by);
        }
    }

    /// Wakes once an interval. `listening` says whether anybody reads: an answer that nobody fetches is no silence.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, listening: bool) -> Poll<Tick> {
        ready!(self.timer.as_mut().poll(context));
        self.timer.as_mut().reset(Instant::now() + self.every);
        let expected = self.asked && listening && self.unread <= ROOM;
        self.silent = if expected && !self.heard { self.silent + 1 } else { 0 };
        self.asked = true;
        self.heard = false;
        self.after_ping.get_or_insert(0);
        Poll::Ready(if self.silent >= SILENT { Tick::Dead } else { Tick::Ping })
    }

    /// How long the silence has been when it is over.
    pub(super) fn patience(&self) -> Duration {
        self.every * u32::from(SILENT)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn next(keepalive: &mut Keepalive, listening: bool) -> Tick {
        poll_fn(|context| keepalive.poll(context, listening)).await
    }

    #[tokio::test(start_paused = true)]
    async fn two_silent_intervals_are_the_end() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(Duration::from_secs(20));
        assert_eq!(next(&mut keepalive, true).await, Tick::Ping);
        assert_eq!(next(&mut keepalive, true).await, Tick::Ping);
        assert_eq!(next(&mut keepalive, true).await, Tick::Dead);
        assert_eq!(start.elapsed().as_secs(), 60);
        assert_eq!(keepalive.patience().as_secs(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_starts_the_count_anew() {
        let mut keepalive = Keepalive::new(Duration::from_secs(20));
        for _ in 0..10 {
            assert_eq!(next(&mut keepalive, true).await, Tick::Ping);
            assert_eq!(next(&mut keepalive, true).await, Tick::Ping);
            keepalive.heard();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_that_nobody_listens_to_does_not_count() {
        let mut keepalive = Keepalive::new(Duration::from_secs(20));
        for _ in 0..10 {
            assert_eq!(next(&mut keepalive, false).await, Tick::Ping);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_behind_much_that_is_unread_does_not_count() {
        let mut keepalive = Keepalive::new(Duration::from_secs(20));
        keepalive.sent(ROOM);
        assert_eq!(next(&mut keepalive, true).await, Tick::Ping);
        keepalive.sent(ROOM + 1);
        keepalive.heard();
        keepalive.answered();
        for _ in 0..10 {
            assert_eq!(next(&mut keepalive, true).await, Tick::Ping, "the answer was to what came before");
        }
        keepalive.sent(ROOM);
        keepalive.heard();
        keepalive.answered();
        assert_eq!(next(&mut keepalive, true).await, Tick::Ping, "it has been heard");
        assert_eq!(
            next(&mut keepalive, true).await,
            Tick::Ping,
            "what came after the oldest ping is unread still"
        );
        keepalive.heard();
        keepalive.answered();
        let beats = [
            next(&mut keepalive, true).await,
            next(&mut keepalive, true).await,
            next(&mut keepalive, true).await,
        ];
        assert_eq!(beats, [Tick::Ping, Tick::Ping, Tick::Dead], "now all has been read");
    }
}

//! Pings, and when silence means that the path is dead.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// After how many intervals without a sign of life, each begun with a ping, the path is dead.
const SILENT: u8 = 2;

/// The clock of one stream.
pub(super) struct Pulse {
    every: Duration,
    timer: Pin<Box<Sleep>>,
    asked: bool,
    heard: bool,
    silent: u8,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Send a ping.
    Ping,
    /// Give up.
    Dead,
}

impl Pulse {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, timer: Box::pin(sleep(every)), asked: false, heard: false, silent: 0 }
    }

    /// Anything at all came from the other side.
    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// Whether [`Pulse::poll`] has something to say.
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
    pub(super) fn poll(&mut self, context: &mut Context<'_>, listening: bool) -> Poll<Beat> {
        ready!(self.timer.as_mut().poll(context));
        self.timer.as_mut().reset(Instant::now() + self.every);
        self.silent = if self.asked && listening && !self.heard { self.silent + 1 } else { 0 };
        self.asked = true;
        self.heard = false;
        Poll::Ready(if self.silent >= SILENT { Beat::Dead } else { Beat::Ping })
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

    async fn next(pulse: &mut Pulse, listening: bool) -> Beat {
        poll_fn(|context| pulse.poll(context, listening)).await
    }

    #[tokio::test(start_paused = true)]
    async fn two_silent_intervals_are_the_end() {
        let start = Instant::now();
        let mut pulse = Pulse::new(Duration::from_secs(20));
        assert_eq!(next(&mut pulse, true).await, Beat::Ping);
        assert_eq!(next(&mut pulse, true).await, Beat::Ping);
        assert_eq!(next(&mut pulse, true).await, Beat::Dead);
        assert_eq!(start.elapsed().as_secs(), 60);
        assert_eq!(pulse.patience().as_secs(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_starts_the_count_anew() {
        let mut pulse = Pulse::new(Duration::from_secs(20));
        for _ in 0..10 {
            assert_eq!(next(&mut pulse, true).await, Beat::Ping);
            assert_eq!(next(&mut pulse, true).await, Beat::Ping);
            pulse.heard();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_that_nobody_listens_to_does_not_count() {
        let mut pulse = Pulse::new(Duration::from_secs(20));
        for _ in 0..10 {
            assert_eq!(next(&mut pulse, false).await, Beat::Ping);
        }
    }
}

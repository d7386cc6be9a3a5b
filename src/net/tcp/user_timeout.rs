//! Tells a peer that pauses from one that is gone (Linux).
//!
//! `TCP_USER_TIMEOUT` counts the time in which nothing that was sent is acknowledged (tcp(7)). It also counts the time in
//! which a reader that is well has no room, such as a `pg_dump` that waits for its disk. So while bytes are
//! unacknowledged the kernel is asked now and then whether the peer answers, and as long as it does it gets more time.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tracing::debug;

use super::options::{self, UNACKNOWLEDGED};
use super::tcp_info::Unacknowledged;

/// How often the kernel is asked.
const INTERVAL: Duration = Duration::from_secs(30);

/// How many packets may be unanswered before silence means something: the last one may just have been sent. Linux
/// probes a full window at intervals that grow to two minutes, so time alone does not tell.
const UNDERWAY: u8 = 1;

/// Watches over the bytes that one connection has written. It costs nothing while there are none.
pub(super) struct Watch {
    limit: Duration,
    interval: Duration,
    /// When to look again, as long as something may be unacknowledged.
    timer: Option<Pin<Box<Sleep>>>,
    acknowledged: u64,
    moved: Instant,
}

/// What becomes of the user timeout.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The peer is well: so long may it go without acknowledging.
    Within(Duration),
    /// It is silent: its time runs.
    AsBefore,
    /// The kernel does not tell how it is: better a dead peer for 15 minutes (tcp(7), `tcp_retries2`) than a session
    /// that ends because its reader takes its time.
    Unlimited,
}

impl Default for Watch {
    fn default() -> Self {
        Self::new(UNACKNOWLEDGED, INTERVAL)
    }
}

impl Watch {
    pub(super) fn new(limit: Duration, interval: Duration) -> Self {
        Self { limit, interval, timer: None, acknowledged: 0, moved: Instant::now() }
    }

    /// Something was, or is to be, written.
    pub(super) fn wrote(&mut self) {
        if self.timer.is_none() {
            self.moved = Instant::now();
            self.timer = Some(Box::pin(sleep(self.interval)));
        }
    }

    /// Looks, if it is time to.
    pub(super) fn poll(&mut self, stream: &TcpStream, context: &mut Context<'_>) {
        while let Some(timer) = &mut self.timer
            && timer.as_mut().poll(context).is_ready()
        {
            timer.as_mut().reset(Instant::now() + self.interval);
            match self.judge(Unacknowledged::of(stream)) {
                Verdict::Within(timeout) => options::set_user_timeout(stream, Some(timeout)),
                Verdict::AsBefore => {}
                Verdict::Unlimited => options::set_user_timeout(stream, None),
            }
        }
    }

    fn judge(&mut self, seen: io::Result<Unacknowledged>) -> Verdict {
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => {
                debug!(%error, "whether a peer that does not read is gone cannot be told");
                self.timer = None;
                return Verdict::Unlimited;
            }
        };
        let now = Instant::now();
        if seen.bytes == 0 {
            self.timer = None;
        }
        if seen.bytes == 0 || seen.acknowledged != self.acknowledged {
            self.acknowledged = seen.acknowledged;
            self.moved = now;
        }
        let answers = seen.unanswered <= UNDERWAY || seen.heard < self.limit;
        // The kernel counts from when the bytes stopped moving.
        if answers { Verdict::Within(now - self.moved + self.limit) } else { Verdict::AsBefore }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Watch {
        pub(in super::super) fn is_quiet(&self) -> bool {
            self.timer.is_none()
        }
    }

    const STUCK: Unacknowledged =
        Unacknowledged { bytes: 1, acknowledged: 0, unanswered: 0, heard: Duration::from_secs(100) };

    #[tokio::test(start_paused = true)]
    async fn only_who_answers_gets_more_time() {
        let mut watch = Watch::default();
        watch.wrote();
        tokio::time::advance(INTERVAL).await;
        let more = Verdict::Within(INTERVAL + UNACKNOWLEDGED);
        assert_eq!(watch.judge(Ok(STUCK)), more, "its window is full, and the last probe was answered");
        assert_eq!(watch.judge(Ok(Unacknowledged { unanswered: 1, ..STUCK })), more, "a probe is under way");
        assert_eq!(
            watch.judge(Ok(Unacknowledged { unanswered: 2, ..STUCK })),
            Verdict::AsBefore,
            "it is silent"
        );
        let recently = Unacknowledged { unanswered: 2, heard: Duration::from_secs(89), ..STUCK };
        assert_eq!(watch.judge(Ok(recently)), more, "it answers, but takes nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn time_counts_from_when_the_bytes_last_moved() {
        let mut watch = Watch::default();
        watch.wrote();
        tokio::time::advance(INTERVAL * 100).await;
        let moved = Unacknowledged { acknowledged: 1, ..STUCK };
        assert_eq!(watch.judge(Ok(moved)), Verdict::Within(UNACKNOWLEDGED));
        tokio::time::advance(INTERVAL).await;
        assert_eq!(watch.judge(Ok(moved)), Verdict::Within(INTERVAL + UNACKNOWLEDGED));
        assert_eq!(watch.judge(Ok(Unacknowledged { bytes: 0, ..moved })), Verdict::Within(UNACKNOWLEDGED));
        assert!(watch.is_quiet());
    }

    #[tokio::test]
    async fn where_the_kernel_does_not_tell_readers_may_pause() {
        let mut watch = Watch::default();
        watch.wrote();
        assert_eq!(watch.judge(Err(io::ErrorKind::Unsupported.into())), Verdict::Unlimited);
        assert!(watch.is_quiet(), "until more is written it is not asked again");
    }
}

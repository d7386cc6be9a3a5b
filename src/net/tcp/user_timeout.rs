//! Extends `TCP_USER_TIMEOUT` for a peer that does not read but still acknowledges (Linux).
//!
//! `TCP_USER_TIMEOUT` limits the time for which sent bytes stay unacknowledged (tcp(7)). That time also runs while the
//! receive buffer of a healthy peer is full, such as a `pg_dump` that waits for its disk. So while bytes are
//! unacknowledged, this module polls `sock_diag` and extends `TCP_USER_TIMEOUT` while the peer still acknowledges.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tracing::debug;

use super::options::{self, USER_TIMEOUT};
use super::tcp_info::TcpInfo;

/// How often `sock_diag` is polled.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// How many unanswered packets a live peer may have: the last one may still be in flight. The time since the last
/// acknowledgement is not enough, because Linux probes a full window at intervals that grow to two minutes.
const MAX_UNANSWERED: u8 = 1;

/// The user timeout of one connection. It has a timer only while bytes may be unacknowledged.
pub(super) struct UserTimeout {
    limit: Duration,
    interval: Duration,
    /// The next poll; `None` while no byte is unacknowledged.
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes acknowledged at the last poll.
    acknowledged: u64,
    /// When the peer last acknowledged more bytes, as far as the polls show.
    last_progress: Instant,
}

/// The result of one poll.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// The peer acknowledges: set the timeout to this time.
    Extend(Duration),
    /// The peer is silent: the timeout stays, and may end the connection.
    Keep,
    /// The state of the peer is unknown: remove the timeout. A dead peer then stays for 15 minutes (tcp(7),
    /// `tcp_retries2`), which is better than the end of a session whose peer reads slowly.
    Remove,
}

impl Default for UserTimeout {
    fn default() -> Self {
        Self::new(USER_TIMEOUT, POLL_INTERVAL)
    }
}

impl UserTimeout {
    pub(super) fn new(limit: Duration, interval: Duration) -> Self {
        Self { limit, interval, timer: None, acknowledged: 0, last_progress: Instant::now() }
    }

    /// Starts the polls, before or after a write.
    pub(super) fn on_write(&mut self) {
        if self.timer.is_none() {
            self.last_progress = Instant::now();
            self.timer = Some(Box::pin(sleep(self.interval)));
        }
    }

    /// Polls `sock_diag` if the timer has expired, and sets the socket option.
    pub(super) fn poll(&mut self, stream: &TcpStream, context: &mut Context<'_>) {
        while let Some(timer) = &mut self.timer
            && timer.as_mut().poll(context).is_ready()
        {
            timer.as_mut().reset(Instant::now() + self.interval);
            match self.decide(TcpInfo::of(stream)) {
                Decision::Extend(timeout) => options::set_user_timeout(stream, Some(timeout)),
                Decision::Keep => {}
                Decision::Remove => options::set_user_timeout(stream, None),
            }
        }
    }

    fn decide(&mut self, info: io::Result<TcpInfo>) -> Decision {
        let info = match info {
            Ok(info) => info,
            Err(error) => {
                debug!(%error, "cannot query tcp_info; TCP_USER_TIMEOUT is off until a later poll succeeds");
                self.timer = None;
                return Decision::Remove;
            }
        };
        let now = Instant::now();
        if info.unacknowledged == 0 {
            self.timer = None;
        }
        if info.unacknowledged == 0 || info.acknowledged != self.acknowledged {
            self.acknowledged = info.acknowledged;
            self.last_progress = now;
        }
        let acknowledges = info.unanswered <= MAX_UNANSWERED || info.since_last_ack < self.limit;
        // The kernel counts from the last progress too, not from the call that sets the option.
        if acknowledges { Decision::Extend(now - self.last_progress + self.limit) } else { Decision::Keep }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl UserTimeout {
        pub(in super::super) fn is_idle(&self) -> bool {
            self.timer.is_none()
        }
    }

    const STUCK: TcpInfo = TcpInfo {
        unacknowledged: 1,
        acknowledged: 0,
        unanswered: 0,
        since_last_ack: Duration::from_secs(100),
    };

    #[tokio::test(start_paused = true)]
    async fn only_a_peer_that_acknowledges_gets_more_time() {
        let mut user_timeout = UserTimeout::default();
        user_timeout.on_write();
        tokio::time::advance(POLL_INTERVAL).await;
        let more = Decision::Extend(POLL_INTERVAL + USER_TIMEOUT);
        assert_eq!(
            user_timeout.decide(Ok(STUCK)),
            more,
            "the window is full, and the last probe was answered"
        );
        assert_eq!(
            user_timeout.decide(Ok(TcpInfo { unanswered: 1, ..STUCK })),
            more,
            "one probe is in flight"
        );
        assert_eq!(
            user_timeout.decide(Ok(TcpInfo { unanswered: 2, ..STUCK })),
            Decision::Keep,
            "the peer is silent"
        );
        let recently = TcpInfo { unanswered: 2, since_last_ack: Duration::from_secs(89), ..STUCK };
        assert_eq!(user_timeout.decide(Ok(recently)), more, "the peer acknowledges, but reads nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_counts_from_the_last_progress() {
        let mut user_timeout = UserTimeout::default();
        user_timeout.on_write();
        tokio::time::advance(POLL_INTERVAL * 100).await;
        let moved = TcpInfo { acknowledged: 1, ..STUCK };
        assert_eq!(user_timeout.decide(Ok(moved)), Decision::Extend(USER_TIMEOUT));
        tokio::time::advance(POLL_INTERVAL).await;
        assert_eq!(user_timeout.decide(Ok(moved)), Decision::Extend(POLL_INTERVAL + USER_TIMEOUT));
        assert_eq!(
            user_timeout.decide(Ok(TcpInfo { unacknowledged: 0, ..moved })),
            Decision::Extend(USER_TIMEOUT)
        );
        assert!(user_timeout.is_idle());
    }

    #[tokio::test]
    async fn without_tcp_info_the_timeout_is_removed() {
        let mut user_timeout = UserTimeout::default();
        user_timeout.on_write();
        assert_eq!(user_timeout.decide(Err(io::ErrorKind::Unsupported.into())), Decision::Remove);
        assert!(user_timeout.is_idle(), "there is no poll until the next write");
    }
}

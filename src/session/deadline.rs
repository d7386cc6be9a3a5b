//! One deadline for the whole handshake.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::{Failure, Fault};

/// How long an application may take to type a password it is asked for.
const APPLICATION_IS_ASKED: Duration = Duration::from_mins(1);

/// How much earlier than the deadline it ends what can say why it failed; where little is allowed, a tenth of that.
const TO_TELL: Duration = Duration::from_secs(1);

/// When the handshake has to be over.
pub(super) struct Deadline {
    allowed: Duration,
    until: Instant,
}

impl Deadline {
    pub(super) fn new(allowed: Duration) -> Self {
        Self { allowed, until: Instant::now() + allowed }
    }

    /// What is left for a part that knows better than [`Deadline::within`] why it did not succeed: a little less than
    /// there is, so that the application reads that.
    pub(super) fn left_to_try(&self) -> Duration {
        let to_tell = (self.allowed / 10).min(TO_TELL);
        self.until.saturating_duration_since(Instant::now()).saturating_sub(to_tell)
    }

    /// Runs a part of the handshake; `doing` is what the application reads when there is no time left for it, which
    /// is the hop's fault.
    pub(super) async fn within<T, E: From<Failure>>(
        &self,
        doing: &'static str,
        part: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.blaming(Fault::Hop, doing, part).await
    }

    /// Runs a part that is slow by somebody else's fault.
    pub(super) async fn blaming<T, E: From<Failure>>(
        &self,
        fault: Fault,
        doing: &'static str,
        part: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let timeout = || Failure::Timeout { doing, allowed: self.allowed, fault };
        timeout_at(self.until, part).await.unwrap_or_else(|_| Err(timeout().into()))
    }

    /// Waits for the application while a human may be typing; this time does not count.
    pub(super) async fn while_asking<T>(
        &mut self,
        part: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let asked = Instant::now();
        let (doing, allowed) = ("waiting for the application's password", APPLICATION_IS_ASKED);
        let answer = timeout(allowed, part).await.unwrap_or(Err(Failure::Timeout {
            doing,
            allowed,
            fault: Fault::Application,
        }));
        self.until += asked.elapsed();
        answer
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_can_say_why_it_failed_ends_before_the_deadline() {
        let (usual, short) = (Deadline::new(Duration::from_secs(15)), Deadline::new(Duration::from_secs(2)));
        assert_eq!(usual.left_to_try(), Duration::from_secs(14));
        assert_eq!(short.left_to_try(), Duration::from_millis(1800));
        sleep(Duration::from_secs(3)).await;
        assert_eq!(usual.left_to_try(), Duration::from_secs(11));
        assert_eq!(short.left_to_try(), Duration::ZERO);
    }
}

//! One deadline for the whole handshake.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::{Failure, Fault};

/// How long an application may take to answer a password request: a person may type it.
const APPLICATION_ANSWERS: Duration = Duration::from_mins(1);

/// How much earlier than the deadline a part ends that can report why it failed; at most a tenth of the time allowed.
const TO_REPORT: Duration = Duration::from_secs(1);

/// When the handshake has to be over.
pub(super) struct Deadline {
    allowed: Duration,
    until: Instant,
}

impl Deadline {
    pub(super) fn new(allowed: Duration) -> Self {
        Self { allowed, until: Instant::now() + allowed }
    }

    /// The time left for a part that can report its failure better than [`Deadline::within`]: a little less than there is,
    /// so that the application reads that report.
    pub(super) fn left_to_try(&self) -> Duration {
        let to_report = (self.allowed / 10).min(TO_REPORT);
        self.until.saturating_duration_since(Instant::now()).saturating_sub(to_report)
    }

    /// Runs a part of the handshake. The application reads `doing` when there is no time left for it; the hop is at fault.
    pub(super) async fn within<T, E: From<Failure>>(
        &self,
        doing: &'static str,
        part: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.blaming(Fault::Hop, doing, part).await
    }

    /// The same where another side is at fault.
    pub(super) async fn blaming<T, E: From<Failure>>(
        &self,
        fault: Fault,
        doing: &'static str,
        part: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let timeout = || Failure::Timeout { doing, allowed: self.allowed, fault };
        timeout_at(self.until, part).await.unwrap_or_else(|_| Err(timeout().into()))
    }

    /// Waits for the application's answer to a password request; this time does not count.
    pub(super) async fn while_application_answers<T>(
        &mut self,
        part: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let requested = Instant::now();
        let (doing, allowed) = ("waiting for the application's password", APPLICATION_ANSWERS);
        let answer = timeout(allowed, part).await.unwrap_or(Err(Failure::Timeout {
            doing,
            allowed,
            fault: Fault::Application,
        }));
        self.until += requested.elapsed();
        answer
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_that_reports_its_failure_ends_before_the_deadline() {
        let (usual, short) = (Deadline::new(Duration::from_secs(15)), Deadline::new(Duration::from_secs(2)));
        assert_eq!(usual.left_to_try(), Duration::from_secs(14));
        assert_eq!(short.left_to_try(), Duration::from_millis(1800));
        sleep(Duration::from_secs(3)).await;
        assert_eq!(usual.left_to_try(), Duration::from_secs(11));
        assert_eq!(short.left_to_try(), Duration::ZERO);
    }
}

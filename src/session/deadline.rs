//! One deadline for the whole handshake.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::{Failure, Fault};

/// How long an application may take to type a password it is asked for.
const APPLICATION_IS_ASKED: Duration = Duration::from_mins(1);

/// When the handshake has to be over.
pub(super) struct Deadline {
    allowed: Duration,
    until: Instant,
}

impl Deadline {
    pub(super) fn new(allowed: Duration) -> Self {
        Self { allowed, until: Instant::now() + allowed }
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

//! One deadline for the whole handshake, with more time for a database that is silent.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::{Failure, Fault};
use crate::catalog::PersonLogin;

/// How long an application may take to answer a password request: a person may type it.
const APPLICATION_ANSWERS: Duration = Duration::from_mins(1);

/// How many times `handshake_timeout` a login may take while the hop has accepted the connection and is silent: 60 s by
/// default, as PostgreSQL's `authentication_timeout`. A paused Aurora database needs 15 s and more to resume (Amazon Aurora
/// User Guide, "Aurora Serverless v2 auto-pause").
const PATIENCE: u32 = 4;

/// How much earlier than the deadline a part ends that can report why it failed; at most a tenth of the time allowed.
const TO_REPORT: Duration = Duration::from_secs(1);

/// When the handshake has to be over.
pub(super) struct Deadline {
    allowed: Duration,
    began: Instant,
    until: Instant,
    /// How long a silent hop may take in all, and until when.
    patience: Duration,
    silent_until: Instant,
}

impl Deadline {
    pub(super) fn new(allowed: Duration) -> Self {
        let (began, patience) = (Instant::now(), allowed * PATIENCE);
        Self { allowed, began, until: began + allowed, patience, silent_until: began + patience }
    }

    /// The hop has accepted the connection. The half next to the database ends a little earlier than the one before it, so that
    /// the application reads which of them waited in vain.
    pub(super) fn hop_accepted(&mut self, is_database: bool) {
        if is_database {
            self.patience = (self.allowed * PATIENCE).saturating_sub(self.to_report());
            self.silent_until = self.began + self.patience;
        } else {
            self.silent_until = Instant::now() + self.patience;
        }
    }

    /// Waits for an answer of a hop that has accepted the connection; this time does not count against the handshake.
    pub(super) async fn while_hop_answers<T>(
        &mut self,
        hop: &str,
        part: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let requested = Instant::now();
        let silent = || Failure::Silent(hop.to_owned(), self.patience);
        let answer = timeout_at(self.silent_until, part).await.unwrap_or_else(|_| Err(silent()));
        self.until += requested.elapsed();
        answer
    }

    fn to_report(&self) -> Duration {
        (self.allowed / 10).min(TO_REPORT)
    }

    /// The time left for a part that can report its failure better than [`Deadline::within`]: a little less than there is,
    /// so that the application reads that report.
    pub(super) fn left_to_try(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now()).saturating_sub(self.to_report())
    }

    /// Runs a part of the handshake. The application reads `doing` and the hop's name when there is no time left for it.
    pub(super) async fn within<T, E: From<Failure>>(
        &self,
        doing: &'static str,
        hop: &str,
        part: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let timeout = || self.timeout(Fault::Hop, format!("{doing} {hop}"));
        timeout_at(self.until, part).await.unwrap_or_else(|_| Err(timeout().into()))
    }

    /// The same where another side is at fault.
    pub(super) async fn blaming<T, E: From<Failure>>(
        &self,
        fault: Fault,
        doing: &'static str,
        part: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let timeout = || self.timeout(fault, doing.to_owned());
        timeout_at(self.until, part).await.unwrap_or_else(|_| Err(timeout().into()))
    }

    /// Waits for the role's decision, and while a person logs in for it. The handshake has its whole time again after that.
    pub(super) async fn while_person_logs_in<T>(
        &mut self,
        person: &PersonLogin,
        part: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut part = pin!(part);
        loop {
            if let Ok(result) = timeout_at(self.until, &mut part).await {
                return result;
            }
            let ended = tokio::select! {
                result = &mut part => return result,
                ended = person.ended() => ended,
            };
            let again = ended.map(|ended| ended + self.allowed).filter(|again| *again > self.until);
            let Some(again) = again else {
                return Err(self.timeout(Fault::Proxy, "deciding where the connection goes".into()));
            };
            let more = again - self.until;
            (self.began, self.until, self.silent_until) =
                (self.began + more, again, self.silent_until + more);
        }
    }

    /// Waits for the application's answer to a password request; this time does not count.
    pub(super) async fn while_application_answers<T>(
        &mut self,
        part: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let requested = Instant::now();
        let allowed = APPLICATION_ANSWERS;
        let answer = timeout(allowed, part).await.unwrap_or_else(|_| {
            let doing = "waiting for the application's password".to_owned();
            Err(Failure::Timeout { doing, allowed, fault: Fault::Application })
        });
        let took = requested.elapsed();
        (self.began, self.until, self.silent_until) =
            (self.began + took, self.until + took, self.silent_until + took);
        answer
    }

    fn timeout(&self, fault: Fault, doing: String) -> Failure {
        Failure::Timeout { doing, allowed: self.allowed, fault }
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

    #[tokio::test(start_paused = true)]
    async fn the_time_of_a_login_does_not_count() {
        for (begins, lasts, work, is_in_time) in
            [(0, 100, 14, true), (0, 100, 16, false), (14, 0, 14, true), (20, 100, 1, false)]
        {
            let seconds = Duration::from_secs;
            let (mut deadline, person) = (Deadline::new(seconds(15)), PersonLogin::default());
            let part = async {
                sleep(seconds(begins)).await;
                let running = person.begin();
                sleep(seconds(lasts)).await;
                drop(running);
                sleep(seconds(work)).await;
                Ok(())
            };
            let ended = deadline.while_person_logs_in(&person, part).await;
            assert_eq!(ended.is_ok(), is_in_time, "{begins} {lasts} {work}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_hop_has_more_time_and_the_half_next_to_the_database_a_second_less() {
        let never = || std::future::pending::<Result<(), Failure>>();
        for (is_database, seconds) in [(true, 56), (false, 60)] {
            let mut deadline = Deadline::new(Duration::from_secs(15));
            sleep(Duration::from_secs(3)).await;
            deadline.hop_accepted(is_database);
            let (left, began) = (deadline.left_to_try(), Instant::now());
            deadline.while_hop_answers("hop", never()).await.unwrap_err();
            assert_eq!(began.elapsed(), Duration::from_secs(seconds));
            assert_eq!(deadline.left_to_try(), left, "the silence does not count");
        }
    }
}

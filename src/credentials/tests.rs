//! A service over hours, with a paused clock.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::clock::time_of_day;
use super::running::Running;
use crate::catalog::Boxed;
use crate::secret::Secret;
use crate::services::{AssumeError, RoleCredentials, RoleSource, Service, Timing};

/// What STS gives where `DurationSeconds` is not set.
const LIFETIME: Duration = Duration::from_mins(15);

/// An STS that takes a second to answer.
struct Sts {
    /// Which call fails, by its time and a random number.
    fails: fn(Duration, f64) -> bool,
    begun: Instant,
    random: Mutex<fastrand::Rng>,
    calls: Mutex<Vec<Duration>>,
}

impl Sts {
    fn new(fails: fn(Duration, f64) -> bool) -> Arc<Self> {
        let random = Mutex::new(fastrand::Rng::with_seed(15));
        Arc::new(Self { fails, begun: Instant::now(), random, calls: Mutex::default() })
    }

    async fn call(&self) -> Result<RoleCredentials, AssumeError> {
        let passed = self.begun.elapsed();
        self.calls.lock().push(passed);
        sleep(Duration::from_secs(1)).await;
        if (self.fails)(passed, self.random.lock().f64()) {
            return Err(AssumeError { reason: "ServiceUnavailable".into() });
        }
        let secret = || Secret::new("secret");
        Ok(RoleCredentials {
            access_key_id: "ASIAEXAMPLE".into(),
            secret_access_key: secret(),
            session_token: secret(),
            expires: time_of_day() + LIFETIME,
        })
    }
}

impl RoleSource for Sts {
    fn assume(&self) -> Boxed<'_, Result<RoleCredentials, AssumeError>> {
        Box::pin(self.call())
    }
}

fn service() -> Service {
    Service::for_test("arn:aws:iam::123456789012:role/Web", LIFETIME)
}

/// Requests credentials each second. Returns when requests got none; no answer has expired.
async fn requests(sts: &Arc<Sts>, length: Duration) -> Vec<Duration> {
    let running = Running::start(&service(), Arc::clone(sts) as Arc<dyn RoleSource>, Timing::default());
    let mut without = Vec::new();
    while sts.begun.elapsed() < length {
        match running.credentials().await {
            Ok(credentials) => assert!(credentials.expires > time_of_day(), "expired credentials"),
            Err(_) => without.push(sts.begun.elapsed()),
        }
        sleep(Duration::from_secs(1)).await;
    }
    without
}

#[tokio::test(start_paused = true)]
async fn two_hours_with_a_failure_in_three_calls_serve_every_request_after_the_first_success() {
    let sts = Sts::new(|_, random| random < 1.0 / 3.0);
    let without = requests(&sts, Duration::from_hours(2)).await;
    assert!(without.iter().all(|at| *at < Duration::from_secs(30)), "{without:?}");
    let calls = sts.calls.lock();
    // A period has 405 to 450 s, so two hours have at most 18. A third of the calls fails.
    assert!(calls.len() >= 17 && calls.len() <= 2 * 18, "{} calls", calls.len());
    let close = calls.windows(2).filter(|pair| pair[1] < pair[0] + Duration::from_millis(1500)).count();
    assert_eq!(close, 0, "one call at a time, and a pause after each failure: {calls:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_longer_than_a_lifetime_ends_in_refusals_and_not_in_expired_answers() {
    let outage = |passed: Duration| (3600..5400).contains(&passed.as_secs());
    let sts = Sts::new(|passed, _| (3600..5400).contains(&passed.as_secs()));
    let without = requests(&sts, Duration::from_hours(2)).await;
    let (first, last) = (without[0], without[without.len() - 1]);
    assert!(
        outage(first) && first + Duration::from_secs(1) > Duration::from_hours(1) + LIFETIME / 2,
        "{first:?}"
    );
    assert!(last < Duration::from_secs(5400 + 65), "{last:?}");
    let calls = sts.calls.lock();
    let during = calls.iter().filter(|at| outage(**at)).count();
    assert!(during < 1800, "a request without credentials starts at most one attempt each second: {during}");
}

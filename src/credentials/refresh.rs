//! Renews the credentials of one service in the background: one call to STS at a time, and the old credentials stay until
//! new ones are there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::clock::time_of_day;
use super::metrics;
use super::schedule::{pause_after, renewal_after};
use super::state::{Failure, Issued, State};
use crate::services::{RoleCredentials, RoleSource, Timing};

/// The longest sleep: the clock that a sleep follows stands still while the machine sleeps.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Never returns.
pub(super) async fn keep_fresh(
    service: String,
    source: Arc<dyn RoleSource>,
    state: Arc<State>,
    timing: Timing,
) {
    metrics::expect_service(&service);
    let mut failures: u32 = 0;
    loop {
        state.held.send_modify(|held| held.is_trying = true);
        match attempt(Arc::clone(&source), timing.request_timeout).await {
            Ok(credentials) => {
                failures = 0;
                succeeded(&service, credentials, &state, timing);
                until_due(&state).await;
            }
            Err(reason) => {
                failures = failures.saturating_add(1);
                let pause = pause_after(failures, timing.retry_delay, fastrand::f64());
                failed(&service, reason, pause, &state);
                tokio::select! {
                    () = sleep(pause) => {}
                    () = state.wake.notified() => {}
                }
            }
        }
    }
}

/// One attempt. The reason of a failure has no secret. A panic of the SDK is a failure too.
async fn attempt(source: Arc<dyn RoleSource>, limit: Duration) -> Result<RoleCredentials, String> {
    let task = AbortOnDropHandle::new(tokio::spawn(async move { source.assume().await }));
    match timeout(limit, task).await {
        Ok(Ok(outcome)) => outcome.map_err(|error| error.reason),
        Ok(Err(_)) => {
            Err("the attempt crashed, which is a fault of rds-auth-proxy: please report it".to_owned())
        }
        Err(_) => {
            Err(format!("AWS STS did not answer within {} s (credentials.request_timeout)", limit.as_secs()))
        }
    }
}

fn succeeded(service: &str, credentials: RoleCredentials, state: &State, timing: Timing) {
    let now = time_of_day();
    let lifetime = credentials.expires.duration_since(now).unwrap_or_default();
    let after = renewal_after(lifetime, timing.refresh_buffer, fastrand::f64());
    metrics::refreshed(service, credentials.expires);
    info!(
        service,
        access_key_id = credentials.access_key_id,
        expires = %humantime::format_rfc3339_seconds(credentials.expires),
        "the credentials of the service were renewed"
    );
    if lifetime.is_zero() {
        warn!(service, "the credentials have already expired by the clock of this machine; check its time");
    }
    state.held.send_modify(|held| {
        // At least a second, for a clock by which every credentials have expired.
        let after = after.max(Duration::from_secs(1));
        let renew_by = Instant::now() + after;
        let credentials = Arc::new(credentials);
        held.credentials = Some(Issued { credentials, renew_at: now + after, renew_by });
        held.failure = None;
        held.is_trying = false;
    });
}

fn failed(service: &str, reason: String, pause: Duration, state: &State) {
    metrics::refresh_failed(service);
    warn!(service, error = reason, retry_in = ?pause, "the credentials of the service could not be renewed");
    state.held.send_modify(|held| {
        let ended = Instant::now();
        // Expired credentials leave the memory.
        held.credentials.take_if(|issued| issued.credentials.expires <= time_of_day());
        held.failure = Some(Failure { reason, ended, next: ended + pause });
        held.is_trying = false;
    });
}

async fn until_due(state: &State) {
    loop {
        let left = {
            let held = state.held.borrow();
            let Some(issued) = &held.credentials else { return };
            if issued.is_due() {
                return;
            }
            issued.renew_by.saturating_duration_since(Instant::now())
        };
        tokio::select! {
            () = sleep(left.min(LONGEST_SLEEP)) => {}
            () = state.wake.notified() => {}
        }
    }
}

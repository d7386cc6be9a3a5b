//! Answers to calls that discovery can do without: those about clusters, RDS Proxy and Aurora DSQL. The policy of the Go program
//! does not allow them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::{debug, info, warn};

use super::call_error::CallError;
use crate::catalog::ListedAt;

/// The last answer to a call, and its time; empty before the first one.
#[derive(Clone)]
pub(super) struct Answer<T> {
    pub(super) entries: Arc<[T]>,
    pub(super) listed_at: ListedAt,
}

/// A call that is refused, unknown or throttled.
pub(super) struct Unavailable {
    /// The action in the IAM policy.
    pub(super) action: &'static str,
    /// Why, and what to do.
    pub(super) reason: String,
}

/// The calls that were unavailable in the last discovery, by region. Each is logged once, and not every minute.
#[derive(Default)]
pub(super) struct ReportedCalls(Mutex<BTreeMap<(String, &'static str), String>>);

impl<T> Answer<T> {
    /// Takes over what `call` lists, and returns whether it did. A call that is unavailable keeps the last answer.
    pub(super) async fn replace(
        &mut self,
        action: &'static str,
        unavailable: &mut Vec<Unavailable>,
        call: impl Future<Output = Result<Vec<T>, CallError>>,
    ) -> Result<bool, CallError> {
        let listed_at = ListedAt::now();
        match call.await {
            Ok(entries) => {
                *self = Self { entries: entries.into(), listed_at };
                Ok(true)
            }
            Err(CallError { text: reason, only_this_call: true, .. }) => {
                unavailable.push(Unavailable { action, reason });
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self { entries: Arc::new([]), listed_at: ListedAt::now() }
    }
}

impl ReportedCalls {
    /// Logs the calls of a region that are unavailable now, and those that are available again.
    pub(super) fn report(&self, account: Option<&str>, region: &str, unavailable: &[Unavailable]) {
        let mut reported = self.0.lock();
        for Unavailable { action, reason } in unavailable {
            let before = reported.insert((region.to_owned(), action), reason.clone());
            if before.is_some() {
                debug!(account, region, action, reason, "the AWS call is still not available");
            } else {
                warn!(
                    account,
                    region,
                    action,
                    reason,
                    "an AWS call is not available; the endpoints that need it are missing or out of date"
                );
            }
        }
        reported.retain(|(of, action), _| {
            let stays = of != region || unavailable.iter().any(|call| call.action == *action);
            if !stays {
                info!(account, region, action, "the AWS call is available again");
            }
            stays
        });
    }

    /// Actions and reasons.
    #[cfg(test)]
    pub(super) fn calls(&self) -> Vec<(&'static str, String)> {
        self.0.lock().iter().map(|((_, action), reason)| (*action, reason.clone())).collect()
    }
}

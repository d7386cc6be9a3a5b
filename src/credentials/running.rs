//! One service while it is served: its credentials, and the requests that wait for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::refresh;
use super::state::State;
use crate::services::{AssumedRole, RoleCredentials, RoleSource, Service, SourceCredentials, Timing};

/// How long a failure counts for requests that come after it. Later ones start another attempt.
const FAILURE_LASTS: Duration = Duration::from_secs(1);

/// A service. Dropping it ends the task that renews its credentials.
pub(super) struct Running {
    pub(super) name: String,
    pub(super) role: AssumedRole,
    source: SourceCredentials,
    state: Arc<State>,
    timing: Timing,
    _task: AbortOnDropHandle<()>,
}

/// There are no credentials now.
pub(super) struct Unavailable {
    pub(super) reason: String,
    pub(super) retry_after: Duration,
}

impl Running {
    /// Starts to serve: the first attempt begins at once.
    pub(super) fn start(service: &Service, source: Arc<dyn RoleSource>, timing: Timing) -> Self {
        let state = Arc::new(State { held: watch::Sender::default(), wake: Notify::new() });
        state.held.send_modify(|held| held.is_trying = true);
        let task = refresh::keep_fresh(service.name.clone(), source, Arc::clone(&state), timing);
        Self {
            name: service.name.clone(),
            role: service.role.clone(),
            source: service.source.clone(),
            state,
            timing,
            _task: AbortOnDropHandle::new(tokio::spawn(task)),
        }
    }

    /// Whether this has the credentials that the service is to get.
    pub(super) fn serves(&self, service: &Service, timing: Timing) -> bool {
        self.name == service.name
            && self.role == service.role
            && self.source == service.source
            && self.timing == timing
    }

    /// Credentials that are valid now. Where there are none, waits for an attempt to end.
    pub(super) async fn credentials(&self) -> Result<Arc<RoleCredentials>, Unavailable> {
        let began = Instant::now();
        let mut updates = self.state.held.subscribe();
        let attempt = async {
            loop {
                if let Some(answer) = self.answer(began) {
                    return answer;
                }
                // The sender lives as long as this.
                let _changed = updates.changed().await;
            }
        };
        timeout(self.timing.request_timeout, attempt).await.unwrap_or_else(|_| {
            let reason = "AWS STS has not answered yet".to_owned();
            Err(Unavailable { reason, retry_after: FAILURE_LASTS })
        })
    }

    /// The answer to a request that began then; absent while it has to wait.
    fn answer(&self, began: Instant) -> Option<Result<Arc<RoleCredentials>, Unavailable>> {
        let held = self.state.held.borrow();
        if let Some(issued) = &held.credentials
            && let Some(valid) = issued.valid()
        {
            // The task sleeps while the machine does; a request notices that it is late.
            if issued.is_due() && held.failure.is_none() && !held.is_trying {
                self.state.wake.notify_one();
            }
            return Some(Ok(valid));
        }
        if held.is_trying {
            return None;
        }
        match &held.failure {
            Some(failure) if failure.ended + FAILURE_LASTS > began => {
                let retry_after = failure.next.saturating_duration_since(Instant::now());
                Some(Err(Unavailable { reason: failure.reason.clone(), retry_after }))
            }
            // None, an old one, or credentials that expired while the machine slept.
            Some(_) | None => {
                self.state.wake.notify_one();
                None
            }
        }
    }
}

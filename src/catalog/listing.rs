//! The list of targets: what the configuration says, what RDS answered, and what follows from the two.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::merge::{DefaultTls, Merged, merge};
use super::{Acl, Discover, DiscoverError, Discovered, Inventory, StaticTarget, meter};

/// How long one listing may take before it counts as failed.
const DISCOVERY_DEADLINE: Duration = Duration::from_secs(30);

/// What the configuration says about targets.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The targets of the configuration.
    pub fixed: Vec<StaticTarget>,
    /// Which of the discovered ones may be used.
    pub acl: Acl,
    /// TLS where a target does not name its own.
    pub tls: DefaultTls,
}

/// The list as it is now.
pub(super) struct Listing {
    /// Lists the databases of RDS; absent where discovery is off.
    discover: Option<Arc<dyn Discover>>,
    /// Held during a refresh, so that an answer never overwrites a later one.
    refreshing: Mutex<()>,
    state: RwLock<State>,
}

struct State {
    policy: Policy,
    /// The last list that RDS gave, and when.
    discovered: Vec<Discovered>,
    discovered_at: Option<Instant>,
    /// Why the list may be out of date: the refresh after it failed, or a region in the last one did.
    trouble: Option<DiscoverError>,
    /// What follows from policy and list.
    merged: Arc<Merged>,
}

impl Listing {
    pub(super) fn new(policy: Policy, discover: Option<Arc<dyn Discover>>) -> Self {
        let merged = Arc::new(merge(&policy, &[]));
        let state = State { policy, discovered: Vec::new(), discovered_at: None, trouble: None, merged };
        Self { discover, refreshing: Mutex::new(()), state: RwLock::new(state) }
    }

    pub(super) fn replace(&self, policy: Policy) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.merged = Arc::new(merge(&policy, &state.discovered));
        state.policy = policy;
    }

    /// Whether RDS is asked at all.
    pub(super) fn is_asked(&self) -> bool {
        self.discover.is_some()
    }

    pub(super) fn is_discovered(&self) -> bool {
        !self.is_asked() || self.state().discovered_at.is_some()
    }

    pub(super) fn measure(&self) {
        let state = self.state();
        meter::state(state.merged.targets.len(), state.discovered_at.map(|at| at.elapsed()));
    }

    pub(super) fn current(&self) -> Arc<Merged> {
        Arc::clone(&self.state().merged)
    }

    /// Why the list may be out of date: the last refresh failed, or a region in it did.
    pub(super) fn trouble(&self) -> Option<DiscoverError> {
        self.state().trouble.clone()
    }

    /// Resolves when no refresh is under way.
    pub(super) async fn settled(&self) {
        drop(self.refreshing.lock().await);
    }

    /// Asks RDS for its databases now. On failure the list stays as it was; where some regions fail, that of these does.
    pub(super) async fn refresh(&self) -> Result<(), DiscoverError> {
        let Some(discover) = &self.discover else { return Ok(()) };
        let _alone = self.refreshing.lock().await;
        meter::refreshing();
        let found = timeout(DISCOVERY_DEADLINE, discover.discover()).await;
        let found = found.unwrap_or_else(|_| Err(DiscoverError::silent(DISCOVERY_DEADLINE)));
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(Inventory { databases, failed }) => {
                for error in &failed {
                    meter::failed();
                    warn!(%error, "discovery failed in a region; its last list stays in use");
                }
                let merged = merge(&state.policy, &databases);
                log_changes(&state.merged, &merged);
                state.merged = Arc::new(merged);
                state.discovered = databases;
                state.discovered_at = Some(Instant::now());
                state.trouble = failed.into_iter().next();
                Ok(())
            }
            Err(error) => {
                meter::failed();
                state.trouble = Some(error.clone());
                Err(error)
            }
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_changes(old: &Merged, new: &Merged) {
    let names = |merged: &Merged| merged.targets.iter().map(|target| target.name.clone()).collect::<Vec<_>>();
    if names(old) != names(new) {
        info!(targets = ?names(new), "the list of targets changed");
    }
    for (database, refusal) in &new.refused {
        let known = old.refused.iter().any(|(before, _)| before.address == database.address);
        if known {
            debug!(name = database.name, %refusal, "still refused by the target_acl");
        } else {
            info!(name = database.name, %refusal, "skipped an RDS database that the target_acl refuses");
        }
    }
}

//! The list of targets: the configuration, the last answer of RDS, and the merged result.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::described::described;
use super::merge::{Merged, merge};
use super::{
    Described, Discover, DiscoverError, Discovered, FrontDoor, Inventory, ListedAt, Policy, SkippedList,
    metrics,
};
use crate::tls::ConnectorCache;

/// How long one listing may take before it counts as failed.
const DISCOVERY_DEADLINE: Duration = Duration::from_secs(30);

/// The current list.
pub(super) struct Listing {
    /// Lists the databases of RDS; absent where discovery is off.
    discover: Option<Arc<dyn Discover>>,
    /// Held during a refresh, so that an answer never overwrites a later one.
    refreshing: Mutex<()>,
    state: RwLock<State>,
    /// The connectors of the targets.
    connectors: ConnectorCache,
}

struct State {
    policy: Policy,
    /// The last list of RDS, and the time of its oldest part.
    discovered: Vec<Discovered>,
    listed_at: Option<ListedAt>,
    /// Why the list may be out of date: a later refresh failed, or regions or accounts in the last one.
    errors: Vec<DiscoverError>,
    /// The result of policy and list.
    merged: Arc<Merged>,
}

impl Listing {
    pub(super) fn new(policy: Policy, discover: Option<Arc<dyn Discover>>) -> Self {
        let connectors = ConnectorCache::default();
        let merged = Arc::new(merge(&policy, &[], &connectors));
        let state = State { policy, discovered: Vec::new(), listed_at: None, errors: Vec::new(), merged };
        Self { discover, refreshing: Mutex::new(()), state: RwLock::new(state), connectors }
    }

    pub(super) fn replace(&self, policy: Policy) {
        let mut state = self.state.write();
        state.merged = Arc::new(merge(&policy, &state.discovered, &self.connectors));
        state.policy = policy;
    }

    /// Whether discovery is on.
    pub(super) fn discovers(&self) -> bool {
        self.discover.is_some()
    }

    /// See [`Discover::why_skipped`].
    pub(super) async fn why_skipped(&self, name: &str) -> Option<String> {
        self.discover.as_ref()?.why_skipped(name).await
    }

    /// See [`Discover::skipped`].
    pub(super) async fn skipped(&self) -> SkippedList {
        match &self.discover {
            Some(discover) => discover.skipped().await,
            None => SkippedList::default(),
        }
    }

    /// The targets, with their properties in the last list of RDS.
    pub(super) fn described(&self) -> Vec<Described> {
        let state = self.state();
        described(&state.merged, &state.discovered)
    }

    pub(super) fn is_discovered(&self) -> bool {
        !self.discovers() || self.state().listed_at.is_some()
    }

    /// Whether the first listing of RDS is still to come, or runs.
    pub(super) fn awaits_first(&self) -> bool {
        let state = self.state();
        self.discovers() && state.listed_at.is_none() && state.errors.is_empty()
    }

    pub(super) fn measure(&self) {
        let state = self.state();
        let reachable = state.merged.targets.len() - state.merged.expired().count();
        drop(state);
        metrics::reachable(reachable);
        if let Some(discover) = &self.discover {
            discover.measure();
        }
    }

    /// Logs how many targets are refused because their list is too old.
    pub(super) fn warn_if_too_old(&self) {
        let current = self.current();
        let targets = current.expired().count();
        if targets > 0 {
            warn!(targets, "the list of RDS databases is older than rds.max_age; its targets are refused");
        }
    }

    pub(super) fn current(&self) -> Arc<Merged> {
        Arc::clone(&self.state().merged)
    }

    pub(super) fn front_door(&self) -> Arc<FrontDoor> {
        Arc::clone(&self.state().policy.front_door)
    }

    /// Why the list may be out of date for the target with this name or address: the last refresh failed, or a part of it.
    pub(super) fn error_about(&self, wanted: &str) -> Option<DiscoverError> {
        self.state().errors.iter().find(|error| error.concerns(wanted)).cloned()
    }

    /// See [`Discover::accounts`].
    pub(super) fn accounts(&self) -> Vec<Arc<str>> {
        self.discover.as_ref().map(|discover| discover.accounts()).unwrap_or_default()
    }

    /// Resolves when no refresh is running.
    pub(super) async fn settled(&self) {
        drop(self.refreshing.lock().await);
    }

    /// Lists the databases of RDS now. On an error the list stays; a region or an account that fails keeps its part of the list.
    pub(super) async fn refresh(&self) -> Result<(), DiscoverError> {
        let Some(discover) = &self.discover else { return Ok(()) };
        let _alone = self.refreshing.lock().await;
        metrics::refreshing();
        let found = timeout(DISCOVERY_DEADLINE, discover.discover()).await;
        let found = found.unwrap_or_else(|_| Err(DiscoverError::timed_out(DISCOVERY_DEADLINE)));
        let mut state = self.state.write();
        match found {
            Ok(Inventory { databases, failed, listed_at }) => {
                for error in &failed {
                    let known = databases.iter().any(|database| error.is_about(database));
                    warn!(%error, "{}", error.effect(known));
                }
                let merged = merge(&state.policy, &databases, &self.connectors);
                log_changes(&state.merged, &merged);
                state.merged = Arc::new(merged);
                state.discovered = databases;
                state.listed_at = Some(listed_at);
                state.errors = failed;
                Ok(())
            }
            Err(error) => {
                state.errors = vec![error.clone()];
                Err(error)
            }
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }
}

fn log_changes(old: &Merged, new: &Merged) {
    let (added, removed) = (names_only_in(new, old), names_only_in(old, new));
    if !added.is_empty() || !removed.is_empty() {
        info!(
            targets = new.targets.len(),
            added = added.len(),
            removed = removed.len(),
            "the list of targets changed"
        );
        for name in added {
            debug!(name, "a target was added");
        }
        for name in removed {
            debug!(name, "a target was removed");
        }
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

/// The names of targets in the first list and not in the second.
fn names_only_in<'a>(this: &'a Merged, other: &Merged) -> Vec<&'a str> {
    let known: HashSet<_> = other.targets.iter().map(|target| &target.name).collect();
    this.targets
        .iter()
        .filter(|target| !known.contains(&target.name))
        .map(|target| target.name.as_str())
        .collect()
}

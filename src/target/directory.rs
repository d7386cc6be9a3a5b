//! Finds targets by host and by name, and keeps the list of discovered ones fresh.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::merge::{DefaultTls, Merged, merge};
use super::{Acl, Discover, DiscoverError, Discovered, Refusal, StaticTarget, Target, meter};
use crate::net::HostPort;
use crate::shutdown::Shutdown;

/// How long between two refreshes, give or take a tenth.
const REFRESH_PERIOD: Duration = Duration::from_mins(1);

/// How long an unknown host must wait for the next refresh of its own. The API of RDS throttles per account.
const UNKNOWN_HOST_PERIOD: Duration = Duration::from_secs(10);

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

/// All targets there are, and the way to more.
pub struct Directory {
    /// Lists the databases of RDS; absent where discovery is off.
    discover: Option<Arc<dyn Discover>>,
    state: RwLock<State>,
    /// When an unknown host last caused a refresh, held while it runs: those who wait for it share its result.
    last_on_demand: Mutex<Option<Instant>>,
}

struct State {
    policy: Policy,
    /// The last list that RDS gave, and when.
    discovered: Vec<Discovered>,
    discovered_at: Option<Instant>,
    /// What follows from the two.
    merged: Arc<Merged>,
}

/// No target could be found.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Neither the configuration nor RDS knows it.
    #[error("the target \"{wanted}\" is not known: it is neither in `targets` nor a discovered RDS database")]
    Unknown {
        /// The host or name asked for.
        wanted: String,
    },
    /// RDS knows it, the access list refuses it.
    #[error("the target \"{name}\" is not allowed by the target_acl of this proxy: {refusal}")]
    Refused {
        /// Its name in RDS.
        name: String,
        /// The tag that decided.
        refusal: Refusal,
    },
    /// It is not in the list, and the list may be old.
    #[error(
        "the target \"{wanted}\" is not known, and the list of RDS databases may be out of date: {source}"
    )]
    Stale {
        /// The host or name asked for.
        wanted: String,
        /// Why the refresh failed.
        source: DiscoverError,
    },
    /// Several databases have the name, for example in two regions.
    #[error("the target \"{name}\" is not unique; use the address of the one that is meant: {addresses}")]
    Ambiguous {
        /// The name asked for.
        name: String,
        /// The addresses that have it, separated by commas.
        addresses: String,
    },
}

impl Directory {
    /// A directory that knows the static targets; [`Directory::refresh`] adds the discovered ones.
    #[must_use]
    pub fn new(policy: Policy, discover: Option<Arc<dyn Discover>>) -> Self {
        let merged = Arc::new(merge(&policy, &[]));
        let state = State { policy, discovered: Vec::new(), discovered_at: None, merged };
        Self { discover, state: RwLock::new(state), last_on_demand: Mutex::new(None) }
    }

    /// Puts another configuration in place, for connections to come.
    pub fn replace(&self, policy: Policy) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.merged = Arc::new(merge(&policy, &state.discovered));
        state.policy = policy;
    }

    /// Whether the list is as good as it gets: RDS has answered at least once, or is not asked.
    #[must_use]
    pub fn is_discovered(&self) -> bool {
        self.discover.is_none() || self.state().discovered_at.is_some()
    }

    /// Puts the number of targets and the age of the list into the gauges.
    pub fn measure(&self) {
        let state = self.state();
        meter::state(state.merged.targets.len(), state.discovered_at.map(|at| at.elapsed()));
    }

    /// All targets that may be connected to, by name.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        self.current().targets.clone()
    }

    /// The target at this address. An address that is not known causes one refresh, at most every 10 seconds.
    pub async fn by_host(&self, address: &HostPort) -> Result<Target, LookupError> {
        self.find_or_refresh(|merged| find_by_host(merged, address)).await
    }

    /// The target of this name, or at this address. As with [`Directory::by_host`], an unknown one causes a refresh.
    pub async fn by_name(&self, name: &str) -> Result<Target, LookupError> {
        self.find_or_refresh(|merged| find_by_name(merged, name)).await
    }

    /// Refreshes now and then every minute, give or take a tenth so that replicas do not ask in step, until the proxy
    /// drains.
    pub async fn keep_fresh(&self, shutdown: &Shutdown) {
        if self.discover.is_none() {
            return;
        }
        loop {
            if let Err(error) = self.refresh().await {
                warn!(%error, targets = self.current().targets.len(), "discovery failed; the last list stays in use");
            }
            let jitter = REFRESH_PERIOD.mul_f64(0.9 + 0.2 * fastrand::f64());
            tokio::select! {
                () = sleep(jitter) => {}
                () = shutdown.draining() => return,
            }
        }
    }

    async fn find_or_refresh(
        &self,
        find: impl Fn(&Merged) -> Result<Target, LookupError>,
    ) -> Result<Target, LookupError> {
        let missed = match find(&self.current()) {
            Err(LookupError::Unknown { wanted }) if self.discover.is_some() => wanted,
            other => return other,
        };
        let mut last = self.last_on_demand.lock().await;
        if last.is_none_or(|last| last.elapsed() >= UNKNOWN_HOST_PERIOD) {
            *last = Some(Instant::now());
            self.refresh().await.map_err(|source| LookupError::Stale { wanted: missed, source })?;
        }
        drop(last);
        find(&self.current())
    }

    /// Asks RDS for its databases now. On failure the list stays as it was.
    pub async fn refresh(&self) -> Result<(), DiscoverError> {
        let Some(discover) = &self.discover else { return Ok(()) };
        meter::refreshing();
        let found = timeout(DISCOVERY_DEADLINE, discover.discover()).await;
        let found = found.unwrap_or_else(|_| Err(silent())).inspect_err(|_| meter::failed())?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let merged = merge(&state.policy, &found);
        log_changes(&state.merged, &merged);
        state.merged = Arc::new(merged);
        state.discovered = found;
        state.discovered_at = Some(Instant::now());
        Ok(())
    }

    fn current(&self) -> Arc<Merged> {
        Arc::clone(&self.state().merged)
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn silent() -> DiscoverError {
    DiscoverError {
        region: "the configured regions".into(),
        reason: format!("AWS did not answer within {} s", DISCOVERY_DEADLINE.as_secs()),
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

fn find_by_host(merged: &Merged, address: &HostPort) -> Result<Target, LookupError> {
    if let Some(target) = merged.targets.iter().find(|target| target.address == *address) {
        return Ok(target.clone());
    }
    refused(merged, |database| database.address == *address)?;
    Err(LookupError::Unknown { wanted: address.to_string() })
}

fn find_by_name(merged: &Merged, name: &str) -> Result<Target, LookupError> {
    let named: Vec<_> = merged.targets.iter().filter(|target| target.name == name).collect();
    match named.as_slice() {
        [target] => return Ok((*target).clone()),
        [] => {}
        several => {
            let addresses: Vec<_> = several.iter().map(|target| target.address.to_string()).collect();
            return Err(LookupError::Ambiguous { name: name.into(), addresses: addresses.join(", ") });
        }
    }
    if let Ok(address) = name.parse() {
        return find_by_host(merged, &address);
    }
    refused(merged, |database| database.name == name)?;
    Err(LookupError::Unknown { wanted: name.into() })
}

fn refused(merged: &Merged, matches: impl Fn(&Discovered) -> bool) -> Result<(), LookupError> {
    match merged.refused.iter().find(|(database, _)| matches(database)) {
        Some((database, refusal)) => {
            Err(LookupError::Refused { name: database.name.clone(), refusal: refusal.clone() })
        }
        None => Ok(()),
    }
}

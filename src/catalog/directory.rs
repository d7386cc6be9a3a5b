//! Finds targets by host and by name.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::described::not_allowed;
use super::listing::Listing;
use super::lookup::{find_by_host, find_by_name, refusals};
use super::merge::Merged;
use super::tls_check::TlsCheck;
use super::{Described, Discover, DiscoverError, FrontDoor, LookupError, Policy, SkippedList, Target};
use crate::net::HostPort;
use crate::shutdown::Shutdown;
use crate::single_flight::{FlightError, InFlight, SingleFlight};

/// The time between two refreshes, plus or minus a tenth.
const REFRESH_PERIOD: Duration = Duration::from_mins(1);

/// The least time between two refreshes caused by unknown hosts. The API of RDS throttles per account.
const UNKNOWN_HOST_PERIOD: Duration = Duration::from_secs(10);

/// How long a lookup of an unknown host waits for the refresh, which goes on without it: less than a handshake may take, so
/// that the reason can still be reported.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// All known targets, refreshed on demand.
pub struct Directory {
    listing: Arc<Listing>,
    /// The refreshes that unknown hosts cause.
    on_demand: SingleFlight<()>,
    /// When the last of these began.
    last_on_demand: Mutex<Option<Instant>>,
    tls_check: TlsCheck,
}

impl Directory {
    /// A directory of the static targets; [`Directory::refresh`] adds the discovered ones.
    #[must_use]
    pub fn new(policy: Policy, discover: Option<Arc<dyn Discover>>) -> Self {
        let listing = Arc::new(Listing::new(policy, discover));
        Self {
            listing,
            on_demand: SingleFlight::default(),
            last_on_demand: Mutex::default(),
            tls_check: TlsCheck::default(),
        }
    }

    /// Replaces the configuration, for connections to come.
    pub fn replace(&self, policy: Policy) {
        self.listing.replace(policy);
    }

    /// Why the list may lack databases or be out of date: a region, an account or the whole listing failed.
    #[must_use]
    pub fn error(&self) -> Option<DiscoverError> {
        self.listing.error_about("")
    }

    /// The names of the accounts in the configuration.
    #[must_use]
    pub fn accounts(&self) -> Vec<Arc<str>> {
        self.listing.accounts()
    }

    /// Whether the list is complete: RDS has answered at least once, or discovery is off.
    #[must_use]
    pub fn is_discovered(&self) -> bool {
        self.listing.is_discovered()
    }

    /// Sets the gauges: the number of targets and the age of each region's list.
    pub fn measure(&self) {
        self.listing.measure();
    }

    /// All targets that may be connected to, by name. One address may have several.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let mut targets: Vec<_> = self.listing.current().named_targets().cloned().collect();
        targets.sort_by(|left, right| (&left.name, &left.address).cmp(&(&right.name, &right.address)));
        targets
    }

    /// The targets of [`Directory::targets`], each with its properties in RDS.
    #[must_use]
    pub fn described(&self) -> Vec<Described> {
        self.listing.described()
    }

    /// The databases that are no targets, each with the reason, by name. Makes further calls of the RDS API.
    pub async fn skipped(&self) -> SkippedList {
        let mut list = self.listing.skipped().await;
        list.databases.extend(not_allowed(&self.listing.current()));
        list.databases.sort_by(|left, right| (&left.name, &left.region).cmp(&(&right.name, &right.region)));
        list
    }

    /// Lists the databases of RDS now. On an error the list stays.
    pub async fn refresh(&self) -> Result<(), DiscoverError> {
        self.listing.refresh().await
    }

    /// The target at this address. An unknown address, or a list that is too old, causes a refresh, at most every 10 seconds.
    pub async fn by_host(&self, address: &HostPort) -> Result<Target, LookupError> {
        self.find_or_refresh(|merged| find_by_host(merged, address)).await
    }

    /// The name of the database at this address, also of one that may not be connected to. Causes no refresh.
    #[must_use]
    pub fn name_at(&self, address: &HostPort) -> Option<String> {
        match find_by_host(&self.listing.current(), address) {
            Ok(target) => Some(target.name),
            Err(
                LookupError::Refused { name, .. }
                | LookupError::TooOld { name, .. }
                | LookupError::Unlisted { name, .. },
            ) => Some(name),
            Err(
                LookupError::Unknown { .. }
                | LookupError::Stale { .. }
                | LookupError::Ambiguous { .. }
                | LookupError::OnlyCaseDiffers { .. },
            ) => None,
        }
    }

    /// The target of this name, in any case, or at this address. As with [`Directory::by_host`], an unknown one causes a refresh.
    pub async fn by_name(&self, name: &str) -> Result<Target, LookupError> {
        self.find_or_refresh(|merged| find_by_name(merged, name)).await
    }

    /// Which targets connections get that name none.
    #[must_use]
    pub fn front_door(&self) -> Arc<FrontDoor> {
        self.listing.front_door()
    }

    /// The region of the database with this name and why it is no target; absent if RDS has none.
    pub async fn why_skipped(&self, name: &str) -> Option<String> {
        self.listing.why_skipped(name).await
    }

    /// The databases that the access list refuses: the address and region of each, and the error of a lookup.
    #[must_use]
    pub fn refused(&self) -> Vec<(String, LookupError)> {
        refusals(&self.listing.current())
    }

    /// Reports the targets to which TLS cannot be set up, or is weaker than the default; each once. Reads their files on a thread
    /// for blocking work.
    pub fn check_tls(&self, targets: Vec<Target>) {
        let _runs = self.tls_check.start(targets);
    }

    /// Lists the databases of RDS now, where discovery is on. Logs an error, and the list stays then.
    pub async fn refresh_or_warn(&self) {
        if let Err(error) = self.refresh().await {
            let targets = self.listing.current().targets.len();
            warn!(%error, targets, "discovery failed; the last list stays in use");
        }
    }

    /// The time until the next refresh: a minute, plus or minus a tenth so that processes spread their calls.
    #[must_use]
    pub fn refresh_pause() -> Duration {
        REFRESH_PERIOD.mul_f64(0.9 + 0.2 * fastrand::f64())
    }

    /// Refreshes at once and then every minute, plus or minus a tenth so that replicas spread their calls, until the proxy
    /// drains.
    pub async fn keep_fresh(&self, shutdown: &Shutdown) {
        if !self.listing.discovers() {
            self.check_tls(self.targets());
            return;
        }
        loop {
            self.refresh_or_warn().await;
            self.check_tls(self.targets());
            self.listing.warn_if_too_old();
            tokio::select! {
                () = sleep(Self::refresh_pause()) => {}
                () = shutdown.draining() => return,
            }
        }
    }

    async fn find_or_refresh(
        &self,
        find: impl Fn(&Merged) -> Result<Target, LookupError>,
    ) -> Result<Target, LookupError> {
        match find(&self.listing.current()) {
            // RDS may list the host, and then TLS is verified. If the listing fails, the defaults of the configuration apply.
            Ok(target) if target.tls_open && self.listing.awaits_first() => {
                let _listed = timeout(LOOKUP_TIMEOUT, self.refresh_for_unknown()).await;
                find(&self.listing.current())
            }
            Err(LookupError::Unknown { .. } | LookupError::TooOld { .. } | LookupError::Unlisted { .. })
                if self.listing.discovers() =>
            {
                let ended = match timeout(LOOKUP_TIMEOUT, self.refresh_for_unknown()).await {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(DiscoverError::crashed(&error)),
                    Err(_) => Some(DiscoverError::timed_out(LOOKUP_TIMEOUT)),
                };
                let about = |wanted: &str| ended.clone().or_else(|| self.listing.error_about(wanted));
                find(&self.listing.current()).map_err(|error| error.caused_by(about))
            }
            other => other,
        }
    }

    /// Waits for the refresh that an unknown host causes. Its failure is in the list, for all callers; an error here
    /// is a panic.
    async fn refresh_for_unknown(&self) -> Result<(), FlightError> {
        if let Some(refresh) = self.join_or_start_refresh() {
            refresh.result().await?;
        }
        self.listing.settled().await;
        Ok(())
    }

    /// The running refresh, or a new one; neither if the last one ended, but began less than 10 seconds ago.
    fn join_or_start_refresh(&self) -> Option<InFlight<()>> {
        let mut last = self.last_on_demand.lock();
        if last.is_some_and(|begun| begun.elapsed() < UNKNOWN_HOST_PERIOD) {
            return self.on_demand.join();
        }
        let listing = Arc::clone(&self.listing);
        let refresh = self.on_demand.join_or_start(|| {
            *last = Some(Instant::now());
            tokio::spawn(async move {
                let _in_the_list = listing.refresh().await;
            })
        });
        Some(refresh)
    }
}

#[cfg(test)]
mod tests;

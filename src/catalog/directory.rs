//! Finds targets by host and by name.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::listing::Listing;
use super::merge::Merged;
use super::tls_check::TlsCheck;
use super::{Discover, DiscoverError, Discovered, Policy, Refusal, Target};
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

/// No target could be found.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Neither the configuration nor RDS has it.
    #[error("the target \"{wanted}\" is not known: it is neither in `targets` nor a discovered RDS database")]
    Unknown {
        /// The requested host or name.
        wanted: String,
    },
    /// RDS lists it, the access list refuses it.
    #[error("the target \"{name}\" is not allowed by the target_acl of this proxy: {refusal}")]
    Refused {
        /// Its name in RDS.
        name: String,
        /// The tag that decided.
        refusal: Refusal,
    },
    /// It is not in the list, and the list may be out of date.
    #[error(
        "the target \"{wanted}\" is not known, and the list of RDS databases may be out of date: {source}"
    )]
    Stale {
        /// The requested host or name.
        wanted: String,
        /// Why the refresh failed.
        source: DiscoverError,
    },
    /// Several databases have the name, for example in two regions.
    #[error("the target \"{name}\" is not unique; use one of the addresses: {addresses}")]
    Ambiguous {
        /// The requested name.
        name: String,
        /// The addresses that have it, separated by commas.
        addresses: String,
    },
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

    /// Whether the list is complete: RDS has answered at least once, or discovery is off.
    #[must_use]
    pub fn is_discovered(&self) -> bool {
        self.listing.is_discovered()
    }

    /// Sets the gauges: the number of targets and the age of the list.
    pub fn measure(&self) {
        self.listing.measure();
    }

    /// All targets that may be connected to, by name.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        self.listing.current().targets.clone()
    }

    /// Lists the databases of RDS now. On an error the list stays.
    pub async fn refresh(&self) -> Result<(), DiscoverError> {
        self.listing.refresh().await
    }

    /// The target at this address. An unknown address causes a refresh, at most every 10 seconds.
    pub async fn by_host(&self, address: &HostPort) -> Result<Target, LookupError> {
        self.find_or_refresh(|merged| find_by_host(merged, address)).await
    }

    /// The target of this name, or at this address. As with [`Directory::by_host`], an unknown one causes a refresh.
    pub async fn by_name(&self, name: &str) -> Result<Target, LookupError> {
        self.find_or_refresh(|merged| find_by_name(merged, name)).await
    }

    /// Reports the targets to which TLS cannot be set up, or is weaker than the default; each once. Reads their files on a thread
    /// for blocking work.
    pub fn check_tls(&self, targets: Vec<Target>) {
        let _runs = self.tls_check.start(targets);
    }

    /// Refreshes at once and then every minute, plus or minus a tenth so that replicas spread their calls, until the proxy
    /// drains.
    pub async fn keep_fresh(&self, shutdown: &Shutdown) {
        if !self.listing.discovers() {
            self.check_tls(self.targets());
            return;
        }
        loop {
            if let Err(error) = self.refresh().await {
                let targets = self.listing.current().targets.len();
                warn!(%error, targets, "discovery failed; the last list stays in use");
            }
            self.check_tls(self.targets());
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
        match find(&self.listing.current()) {
            // RDS may list the host, and then TLS is verified. If the listing fails, the defaults of the configuration apply.
            Ok(target) if target.tls_open && self.listing.awaits_first() => {
                let _listed = timeout(LOOKUP_TIMEOUT, self.refresh_for_unknown()).await;
                find(&self.listing.current())
            }
            Err(LookupError::Unknown { wanted }) if self.listing.discovers() => {
                let failed = match timeout(LOOKUP_TIMEOUT, self.refresh_for_unknown()).await {
                    Ok(Ok(())) => self.listing.error(),
                    Ok(Err(error)) => Some(crashed(&error)),
                    Err(_) => Some(DiscoverError::timed_out(LOOKUP_TIMEOUT)),
                };
                match (find(&self.listing.current()), failed) {
                    (Err(LookupError::Unknown { .. }), Some(source)) => {
                        Err(LookupError::Stale { wanted, source })
                    }
                    (found, _) => found,
                }
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

fn crashed(error: &FlightError) -> DiscoverError {
    DiscoverError {
        region: "the configured regions".into(),
        reason: format!("the refresh ended early ({error}); this is a bug in rds-auth-proxy"),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::{Acl, Boxed, DefaultTls, Inventory, StaticTarget};
    use super::*;
    use crate::tls::{ClientIdentity, Overrides, SelfSigned, Settings, SslMode};

    /// AWS with one database, which takes its time to answer.
    struct Slow {
        database: Discovered,
        asked: AtomicUsize,
    }

    impl Discover for Slow {
        fn discover(&self) -> Boxed<'_, Result<Inventory, DiscoverError>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                sleep(Duration::from_secs(3)).await;
                Ok(Inventory { databases: vec![self.database.clone()], failed: Vec::new() })
            })
        }
    }

    fn slow() -> Arc<Slow> {
        let database = Discovered {
            name: "new".into(),
            address: HostPort::new("new.example.com", 5432),
            region: "us-east-1".into(),
            database: None,
            local_port: None,
            tags: Vec::new(),
            related: Vec::new(),
        };
        Arc::new(Slow { database, asked: AtomicUsize::new(0) })
    }

    fn policy() -> Policy {
        let identity = ClientIdentity::Generated(Arc::new(SelfSigned::generate(&[]).unwrap()));
        let fixed = Settings { mode: SslMode::Require, roots: None, identity };
        let tls = DefaultTls { fixed, rds_roots: None };
        Policy { fixed: Vec::new(), acl: Acl::default(), tls }
    }

    #[tokio::test(start_paused = true)]
    async fn all_connections_to_an_unknown_host_wait_for_the_one_refresh() {
        let slow = slow();
        let address = slow.database.address.clone();
        let directory = Directory::new(policy(), Some(Arc::clone(&slow) as Arc<dyn Discover>));
        let (first, second) = tokio::join!(directory.by_host(&address), directory.by_name("new"));
        assert_eq!((first.unwrap().name, second.unwrap().name), ("new".to_owned(), "new".to_owned()));
        assert_eq!(slow.asked.load(Ordering::Relaxed), 1);
    }

    /// A target of the configuration at the host that `slow` lists.
    fn fixed(tls: Overrides) -> StaticTarget {
        let address = HostPort::new("new.example.com", 5432);
        StaticTarget {
            name: "mine".into(),
            address,
            database: None,
            local_port: None,
            tls,
            require_auth: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_static_target_without_a_mode_waits_for_the_first_listing() {
        for (mode, expected, asked) in
            [(None, SslMode::VerifyFull, 1), (Some(SslMode::Require), SslMode::Require, 0)]
        {
            let tls = Overrides { mode, ..Overrides::default() };
            let policy = Policy { fixed: vec![fixed(tls)], ..policy() };
            let slow = slow();
            let directory = Directory::new(policy, Some(Arc::clone(&slow) as Arc<dyn Discover>));
            let target = directory.by_host(&slow.database.address).await.unwrap();
            assert_eq!((target.name.as_str(), target.tls.mode()), ("mine", expected));
            assert_eq!(slow.asked.load(Ordering::Relaxed), asked);
        }
    }

    #[tokio::test]
    async fn a_static_target_survives_a_listing_that_fails() {
        let policy = Policy { fixed: vec![fixed(Overrides::default())], ..policy() };
        let directory = Directory::new(policy, Some(Arc::new(Fails)));
        let target = directory.by_name("mine").await.unwrap();
        assert_eq!(target.tls.mode(), SslMode::Require);
    }

    /// AWS that refuses the call.
    struct Fails;

    impl Discover for Fails {
        fn discover(&self) -> Boxed<'_, Result<Inventory, DiscoverError>> {
            Box::pin(async { Err(DiscoverError { region: "us-east-1".into(), reason: "refused".into() }) })
        }
    }

    /// AWS as a bug would have it.
    struct Panics;

    impl Discover for Panics {
        fn discover(&self) -> Boxed<'_, Result<Inventory, DiscoverError>> {
            Box::pin(async { panic!("boom") })
        }
    }

    #[tokio::test]
    async fn a_panic_in_a_refresh_is_an_error_for_the_connections_that_wait() {
        let directory = Directory::new(policy(), Some(Arc::new(Panics)));
        let error = directory.by_name("new").await.unwrap_err();
        assert!(matches!(error, LookupError::Stale { .. }) && error.to_string().contains("boom"), "{error}");
    }
}

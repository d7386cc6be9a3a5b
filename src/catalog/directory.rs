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
use super::{Described, Discover, DiscoverError, LookupError, Policy, SkippedList, Target};
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

    /// Why the list may lack databases or be out of date: a region, or the whole listing, failed.
    #[must_use]
    pub fn error(&self) -> Option<DiscoverError> {
        self.listing.error()
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

    /// The targets of [`Directory::targets`], each with what RDS says about it.
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
                let failed = match timeout(LOOKUP_TIMEOUT, self.refresh_for_unknown()).await {
                    Ok(Ok(())) => self.listing.error(),
                    Ok(Err(error)) => Some(crashed(&error)),
                    Err(_) => Some(DiscoverError::timed_out(LOOKUP_TIMEOUT)),
                };
                match (find(&self.listing.current()), failed) {
                    (Err(LookupError::Unknown { wanted }), Some(source)) => {
                        Err(LookupError::Stale { wanted, source })
                    }
                    (Err(LookupError::TooOld { name, region, age, max_age, .. }), source) => {
                        Err(LookupError::TooOld { name, region, age, max_age, source: source.map(Box::new) })
                    }
                    (Err(LookupError::Unlisted { name, rds, problem, .. }), source) => {
                        Err(LookupError::Unlisted { name, rds, problem, source: source.map(Box::new) })
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use tokio::time::advance;

    use super::super::{
        Acl, Boxed, DefaultTls, Discovered, IamService, Inventory, ListedAt, Location, Resource, StaticTarget,
    };
    use super::*;
    use crate::tls::{ClientIdentity, Overrides, Roots, SelfSigned, Settings, SslMode};

    /// AWS with one database, which takes its time to answer.
    struct Slow {
        database: Discovered,
        listings: AtomicUsize,
    }

    impl Discover for Slow {
        fn discover(&self) -> Boxed<'_, Result<Inventory, DiscoverError>> {
            self.listings.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                sleep(Duration::from_secs(3)).await;
                let databases = vec![self.database.clone()];
                Ok(Inventory { databases, failed: Vec::new(), listed_at: ListedAt::now() })
            })
        }
    }

    fn policy() -> Policy {
        let identity = ClientIdentity::Generated(Arc::new(SelfSigned::generate(&[]).unwrap()));
        let fixed = Settings { mode: SslMode::Require, roots: None, identity };
        let tls = DefaultTls { fixed, rds_roots: None };
        Policy { fixed: Vec::new(), acl: Acl::default(), tls, max_age: None }
    }

    #[tokio::test(start_paused = true)]
    async fn all_connections_to_an_unknown_host_wait_for_the_one_refresh() {
        let (address, database) = (address("new"), database("new"));
        let slow = Arc::new(Slow { database, listings: AtomicUsize::new(0) });
        let directory = Directory::new(policy(), Some(Arc::clone(&slow) as Arc<dyn Discover>));
        let (first, second) = tokio::join!(directory.by_host(&address), directory.by_name("new"));
        assert_eq!((first.unwrap().name, second.unwrap().name), ("new".to_owned(), "new".to_owned()));
        assert_eq!(slow.listings.load(Ordering::Relaxed), 1);
    }

    /// A target of the configuration at the host that `slow` lists.
    fn fixed(tls: Overrides) -> StaticTarget {
        StaticTarget {
            name: "mine".into(),
            location: Location::Host(HostPort::new("new.example.com", 5432)),
            database: None,
            local_port: None,
            tls,
            require_auth: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_static_target_without_a_mode_waits_for_the_first_listing() {
        for (mode, expected, listings) in
            [(None, SslMode::VerifyFull, 1), (Some(SslMode::Require), SslMode::Require, 0)]
        {
            let tls = Overrides { mode, ..Overrides::default() };
            let policy = Policy { fixed: vec![fixed(tls)], ..policy() };
            let slow = Arc::new(Slow { database: database("new"), listings: AtomicUsize::new(0) });
            let directory = Directory::new(policy, Some(Arc::clone(&slow) as Arc<dyn Discover>));
            let target = directory.by_host(&slow.database.address).await.unwrap();
            assert_eq!((target.name.as_str(), target.tls.mode()), ("mine", expected));
            assert_eq!(slow.listings.load(Ordering::Relaxed), listings);
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

    /// RDS with these databases, which can fail.
    #[derive(Default)]
    struct Switched {
        databases: Mutex<Vec<Discovered>>,
        fails: AtomicBool,
    }

    impl Discover for Switched {
        fn discover(&self) -> Boxed<'_, Result<Inventory, DiscoverError>> {
            Box::pin(async {
                if self.fails.load(Ordering::Relaxed) {
                    let reason = "no policy".into();
                    return Err(DiscoverError { region: "us-east-1".into(), reason });
                }
                let databases = self.databases.lock().clone();
                Ok(Inventory { databases, failed: Vec::new(), listed_at: ListedAt::now() })
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn targets_of_a_list_that_is_too_old_are_refused_until_a_refresh_succeeds() {
        let (listed, pinned) = (address("db-1"), address("db-2"));
        let rds = Arc::new(Switched::default());
        let list = || *rds.databases.lock() = vec![database("db-1"), database("db-2")];
        list();
        let fixed = StaticTarget {
            name: "pinned".into(),
            location: Location::Host(pinned.clone()),
            database: None,
            local_port: None,
            tls: Overrides::default(),
            require_auth: None,
        };
        let policy = Policy { fixed: vec![fixed], max_age: Some(Duration::from_hours(24)), ..policy() };
        let directory = Directory::new(policy.clone(), Some(Arc::clone(&rds) as Arc<dyn Discover>));
        directory.refresh().await.unwrap();
        rds.fails.store(true, Ordering::Relaxed);
        advance(Duration::from_hours(24)).await;
        directory.by_host(&listed).await.unwrap();

        advance(Duration::from_mins(90)).await;
        for name in ["db-1", &listed.to_string()] {
            let error = directory.by_name(name).await.unwrap_err().to_string();
            let expected = "the target \"db-1\" is refused: the list of RDS databases of us-east-1 is 1day 1h 30m old, more than \
                            rds.max_age (1day): the RDS databases of us-east-1 could not be listed: no policy";
            assert_eq!(error, expected);
        }
        assert_eq!(directory.by_host(&pinned).await.unwrap().name, "pinned");
        directory.replace(Policy { max_age: None, ..policy.clone() });
        directory.by_host(&listed).await.expect("a changed configuration counts");
        directory.replace(policy);

        rds.fails.store(false, Ordering::Relaxed);
        list();
        advance(UNKNOWN_HOST_PERIOD).await;
        directory.by_host(&listed).await.expect("the lookup refreshes the list");
    }

    #[tokio::test]
    async fn a_database_is_found_under_its_name_and_its_identifier() {
        let cluster = Discovered { identifier: Some("abc123".into()), ..database("new") };
        let with_other_name = fixed(Overrides::default());
        let with_same_name = StaticTarget { name: "NEW".into(), ..with_other_name.clone() };
        let by_identifier = StaticTarget {
            location: Location::Rds { name: "ABC123".into(), dial: None },
            ..with_other_name.clone()
        };
        for fixed in [None, Some(with_other_name), Some(with_same_name), Some(by_identifier)] {
            let rds = Arc::new(Switched::default());
            rds.databases.lock().push(cluster.clone());
            let policy = Policy { fixed: fixed.into_iter().collect(), ..policy() };
            let directory = Directory::new(policy, Some(rds as Arc<dyn Discover>));
            directory.refresh().await.unwrap();
            for name in ["new", "abc123", "ABC123"] {
                assert_eq!(directory.by_name(name).await.unwrap().address, cluster.address, "{name}");
            }
        }
    }

    fn address(name: &str) -> HostPort {
        HostPort::new(&format!("{name}.example.com"), 5432)
    }

    fn database(name: &str) -> Discovered {
        Discovered {
            name: name.into(),
            identifier: None,
            address: address(name),
            region: "us-east-1".into(),
            resource: Resource::default(),
            service: IamService::Rds,
            roots: Roots::Rds { region: "us-east-1".into() },
            database: None,
            local_port: None,
            guard_rails: crate::catalog::GuardRails::default(),
            tags: Vec::new(),
            related: Vec::new(),
            listed_at: ListedAt::now(),
        }
    }
}

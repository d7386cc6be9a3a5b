use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::time::advance;

use super::super::{
    Acl, Boxed, DefaultTls, Discovered, GuardRails, IamService, Inventory, ListedAt, Location, Resource,
    StaticTarget,
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
    let fixed = Settings::new(SslMode::Require, identity);
    let tls = DefaultTls { fixed, rds_roots: None };
    Policy {
        fixed: Vec::new(),
        allowed_clients: BTreeMap::new(),
        front_door: Arc::default(),
        acl: Acl::default(),
        tls,
        max_age: None,
    }
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
        allowed_clients: None,
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
        Box::pin(async {
            Err(DiscoverError { account: None, region: "us-east-1".into(), reason: "refused".into() })
        })
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
                return Err(DiscoverError { account: None, region: "us-east-1".into(), reason });
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
        allowed_clients: None,
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
        account: None,
        roots: Roots::Rds { region: "us-east-1".into() },
        database: None,
        local_port: None,
        guard_rails: GuardRails::default(),
        tags: Vec::new(),
        related: Vec::new(),
        listed_at: ListedAt::now(),
    }
}

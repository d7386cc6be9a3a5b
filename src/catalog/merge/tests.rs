use std::collections::BTreeMap;

use super::super::{Acl, DefaultTls, GuardRails, IamService, Resource};
use super::*;
use crate::tls::{ClientIdentity, Overrides, Roots, SelfSigned, Settings, SslMode};

fn discovered(host: &str, region: &str) -> Discovered {
    Discovered {
        name: host.into(),
        identifier: None,
        address: HostPort::new(host, 5432),
        region: region.into(),
        resource: Resource::default(),
        service: IamService::Rds,
        account: None,
        roots: rds(region),
        database: None,
        local_port: None,
        guard_rails: GuardRails::default(),
        tags: Vec::new(),
        related: Vec::new(),
        listed_at: super::super::ListedAt::now(),
    }
}

fn fixed(host: &str, tls: Overrides) -> StaticTarget {
    StaticTarget {
        name: format!("my-{host}"),
        location: Location::Host(HostPort::new(host, 5432)),
        database: None,
        local_port: None,
        tls,
        require_auth: None,
        allowed_clients: None,
    }
}

fn policy(fixed: Vec<StaticTarget>, rds_roots: Option<Roots>) -> Policy {
    let identity = ClientIdentity::Generated(Arc::new(SelfSigned::generate(&[]).unwrap()));
    let settings = Settings::new(SslMode::Require, identity);
    let tls = DefaultTls { fixed: settings, rds_roots };
    Policy {
        fixed,
        allowed_clients: BTreeMap::new(),
        front_door: Arc::default(),
        acl: Acl::default(),
        tls,
        max_age: None,
    }
}

/// The mode and the roots of each target, by name.
fn tls(merged: &Merged) -> Vec<(&str, SslMode, Option<Roots>)> {
    let of = |target: &'_ Target| target.tls.settings().roots.clone();
    merged.targets.iter().map(|target| (target.name.as_str(), target.tls.mode(), of(target))).collect()
}

fn rds(region: &str) -> Roots {
    Roots::Rds { region: region.into() }
}

#[test]
fn a_section_replaces_the_keys_that_it_sets_and_no_other() {
    let own = Roots::Path("ca.pem".into());
    let with_mode = |mode| Overrides { mode: Some(mode), ..Overrides::default() };
    let found: Vec<_> = ["a", "b", "c", "d"].map(|host| discovered(host, "eu-west-1")).into();
    let fixed = vec![
        fixed("a", Overrides::default()),
        fixed("b", with_mode(SslMode::VerifyCa)),
        fixed("c", with_mode(SslMode::Disable)),
        fixed("d", Overrides { roots: Some(own.clone()), ..Overrides::default() }),
        fixed("e", Overrides::default()),
    ];
    let merged = merge(&policy(fixed, None), &found, &ConnectorCache::default());
    assert_eq!(
        tls(&merged),
        [
            ("my-a", SslMode::VerifyFull, Some(rds("eu-west-1"))),
            ("my-b", SslMode::VerifyCa, Some(rds("eu-west-1"))),
            ("my-c", SslMode::Disable, None),
            ("my-d", SslMode::VerifyFull, Some(own)),
            ("my-e", SslMode::Require, None),
        ]
    );
    let weaker: Vec<_> = merged.targets.iter().map(Target::weaker_mode).collect();
    assert_eq!(weaker, [None, Some(SslMode::VerifyCa), Some(SslMode::Disable), None, None]);
}

#[test]
fn each_region_has_its_roots_unless_the_configuration_has_others() {
    let found = [discovered("a", "eu-west-1"), discovered("b", "us-east-1"), discovered("c", "us-east-1")];
    let cache = ConnectorCache::default();
    let merged = merge(&policy(Vec::new(), None), &found, &cache);
    let roots: Vec<_> = tls(&merged).into_iter().map(|(_, _, roots)| roots).collect();
    assert_eq!(roots, [Some(rds("eu-west-1")), Some(rds("us-east-1")), Some(rds("us-east-1"))]);
    let own = Some(Roots::Path("rds.pem".into()));
    let merged = merge(&policy(Vec::new(), own.clone()), &found, &cache);
    assert!(tls(&merged).into_iter().all(|(_, mode, roots)| mode == SslMode::VerifyFull && roots == own));
}

#[test]
fn a_target_with_a_name_in_rds_has_its_endpoint_and_dials_its_own_host() {
    let cname = HostPort::new("db.corp.example", 5432);
    let rds = |name: &str, dial: Option<&HostPort>| StaticTarget {
        location: Location::Rds { name: name.into(), dial: dial.cloned() },
        ..fixed(name, Overrides::default())
    };
    let found = [discovered("a", "eu-west-1"), discovered("b", "eu-west-1"), discovered("b", "us-east-1")];
    let targets = vec![rds("A", Some(&cname)), rds("b", None), rds("c", Some(&cname))];
    let merged = merge(&policy(targets, None), &found, &ConnectorCache::default());
    let target = merged.targets.iter().find(|target| target.name == "my-A").unwrap();
    assert_eq!((&target.address, target.dialled()), (&found[0].address, &cname));
    assert_eq!(target.iam.as_ref().unwrap().region, "eu-west-1");
    assert_eq!(merged.aliases[0].name, "a");
    let unlisted: Vec<_> =
        merged.unlisted.iter().map(|target| (target.name.as_str(), target.problem.as_str())).collect();
    let several = "RDS lists several of this name; use the endpoint of one of them as `host`, without `rds`";
    assert_eq!(unlisted, [("my-b", several), ("my-c", "RDS does not list it")]);
}

#[test]
fn a_target_of_the_configuration_has_the_guard_rails_of_its_database() {
    let guard_rails = GuardRails { read_only: true, notice: Some("x".into()), ..GuardRails::default() };
    let found = [Discovered { guard_rails: guard_rails.clone(), ..discovered("a", "eu-west-1") }];
    let targets = vec![fixed("a", Overrides::default()), fixed("b", Overrides::default())];
    let merged = merge(&policy(targets, None), &found, &ConnectorCache::default());
    let rails: Vec<_> =
        merged.named_targets().map(|target| (&*target.name, target.guard_rails.clone())).collect();
    let none = GuardRails::default();
    assert_eq!(rails, [("my-a", guard_rails.clone()), ("my-b", none), ("a", guard_rails)]);
}

/// `b` is in RDS, under its own name and that of the configuration; `c` has another address.
#[test]
fn a_list_of_client_certificates_holds_for_every_name_of_an_address() {
    let list = |name: &str| Some(Arc::new(AllowedClients::new(vec![name.to_owned()])));
    let named = |name: &str, host: &str, allowed_clients| StaticTarget {
        name: name.into(),
        allowed_clients,
        ..fixed(host, Overrides::default())
    };
    let targets = vec![
        named("none", "b", None),
        named("one", "b", list("one")),
        named("other", "b", list("other")),
        named("rest", "c", None),
    ];
    let found = [discovered("b", "eu-west-1"), discovered("d", "eu-west-1")];
    let mut policy = policy(targets, None);
    policy.allowed_clients.extend(list("d").map(|list| ("D".to_owned(), list)));
    let merged = merge(&policy, &found, &ConnectorCache::default());
    let mut lists: Vec<_> = merged
        .named_targets()
        .map(|target| (target.name.as_str(), target.allowed_clients.as_ref().map(|list| format!("{list:?}"))))
        .collect();
    lists.sort();
    let shown = |names: &str| Some(format!("AllowedClients([{names}])"));
    let both = shown(r#""one", "other""#);
    let expected = [
        ("b", both.clone()),
        ("d", shown(r#""d""#)),
        ("none", both),
        ("one", shown(r#""one""#)),
        ("other", shown(r#""other""#)),
        ("rest", None),
    ];
    assert_eq!(lists, expected);
}

#[test]
fn the_public_roots_vouch_for_an_rds_proxy_alone() {
    let proxy = Discovered { roots: Roots::Amazon, ..discovered("a", "eu-west-1") };
    let found = [proxy, discovered("b", "eu-west-1")];
    let cache = ConnectorCache::default();
    let merged = merge(&policy(vec![fixed("a", Overrides::default())], None), &found, &cache);
    let expected = [
        ("b", SslMode::VerifyFull, Some(rds("eu-west-1"))),
        ("my-a", SslMode::VerifyFull, Some(Roots::Amazon)),
    ];
    assert_eq!(tls(&merged), expected);
    assert_eq!(merged.aliases[0].tls.settings().roots, Some(Roots::Amazon));
}

#[test]
fn a_list_that_is_merged_again_keeps_its_connectors() {
    let found = [discovered("a", "eu-west-1"), discovered("b", "eu-west-1")];
    let (policy, cache) = (policy(Vec::new(), None), ConnectorCache::default());
    let (before, after) = (merge(&policy, &found, &cache), merge(&policy, &found, &cache));
    let first = &before.targets[0].tls;
    assert!(before.targets.iter().chain(&after.targets).all(|target| Arc::ptr_eq(first, &target.tls)));
}

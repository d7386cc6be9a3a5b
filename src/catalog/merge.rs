//! Merges static and discovered targets into one list.

use std::sync::Arc;
use std::time::Duration;

use super::names::{is_same, named_or_identified, only_case_differs};
use super::{AllowedClients, Discovered, Location, Policy, Refusal, StaticTarget, Target};
use crate::net::HostPort;
use crate::tls::ConnectorCache;

/// The merged list.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// One target per address, by name: the first of the configuration, else that of RDS.
    pub(super) targets: Vec<Target>,
    /// The targets at the same addresses under other names, by name.
    pub(super) aliases: Vec<Target>,
    /// The databases that the access list refuses.
    pub(super) refused: Vec<(Discovered, Refusal)>,
    /// The targets of the configuration whose database RDS does not list.
    pub(super) unlisted: Vec<Unlisted>,
    /// As in the policy.
    pub(super) max_age: Option<Duration>,
}

/// A target of the configuration that names a database in RDS which cannot be found.
#[derive(Debug)]
pub(super) struct Unlisted {
    pub(super) name: String,
    pub(super) dial: Option<HostPort>,
    /// The name in RDS.
    pub(super) rds: String,
    pub(super) problem: String,
}

impl Merged {
    /// The age of the list that has this target, where it is greater than `max_age`.
    pub(super) fn too_old(&self, target: &Target) -> Option<(Duration, Duration)> {
        let (age, max_age) = (target.listed_at?.age(), self.max_age?);
        (age > max_age).then_some((age, max_age))
    }

    /// Adds a target, as an alias where its address has one. A name in RDS is none where the configuration has it in another
    /// case.
    fn add(&mut self, target: Target) {
        if self.targets.iter().all(|known| known.address != target.address) {
            self.targets.push(target);
            return;
        }
        let is_of_rds = target.listed_at.is_some();
        let is_known = self
            .named_targets()
            .filter(|known| known.address == target.address)
            .any(|known| known.name == target.name || (is_of_rds && is_same(&known.name, &target.name)));
        match target.identifier.clone() {
            Some(name) if is_known => self.aliases.push(Target { name, identifier: None, ..target }),
            _ if is_known => {}
            _ => self.aliases.push(target),
        }
    }

    /// All targets: those that an address leads to, then the others.
    pub(super) fn named_targets(&self) -> impl Iterator<Item = &Target> + Clone {
        self.targets.iter().chain(&self.aliases)
    }

    /// The targets whose list is too old, one per address.
    pub(super) fn expired(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| self.too_old(target).is_some())
    }
}

/// A static target at the address of a discovered database, or with its name, keeps its IAM and its TLS, and replaces only the keys
/// that it sets. The operator lists it, so the access list does not apply. The name in RDS stays, with the settings of RDS.
pub(super) fn merge(policy: &Policy, discovered: &[Discovered], connectors: &ConnectorCache) -> Merged {
    let mut merged = Merged { max_age: policy.max_age, ..Merged::default() };
    let mut targets = Vec::new();
    for target in &policy.fixed {
        match place(target, discovered) {
            Ok(place) => targets.push(from_static(target, place, policy, connectors)),
            Err(unlisted) => merged.unlisted.push(unlisted),
        }
    }
    let fixed: Vec<_> = targets.iter().map(|target| target.address.clone()).collect();
    for found in discovered {
        match policy.acl.check(&found.tags, &found.related) {
            Err(refusal) if !fixed.contains(&found.address) => merged.refused.push((found.clone(), refusal)),
            _ => targets.push(from_discovered(found, policy, connectors)),
        }
    }
    inherit_allowed_clients(&mut targets);
    for target in targets {
        merged.add(target);
    }
    let key = |target: &Target| (target.name.clone(), target.address.clone());
    merged.targets.sort_by_key(key);
    merged.aliases.sort_by_key(key);
    merged
}

/// The addresses of a static target, and the database in RDS.
struct Place<'a> {
    address: &'a HostPort,
    dial: Option<&'a HostPort>,
    known: Option<&'a Discovered>,
}

fn place<'a>(target: &'a StaticTarget, discovered: &'a [Discovered]) -> Result<Place<'a>, Unlisted> {
    let (name, dial) = match &target.location {
        Location::Host(address) => {
            let known = discovered.iter().find(|found| found.address == *address);
            return Ok(Place { address, dial: None, known });
        }
        Location::Rds { name, dial } => (name, dial.as_ref()),
    };
    let found = named_or_identified(
        discovered.iter(),
        name,
        |found| &found.name,
        |found| found.identifier.as_deref(),
    );
    let problem = match found.as_slice() {
        [found] => return Ok(Place { address: &found.address, dial, known: Some(found) }),
        [] => "RDS does not list it".to_owned(),
        several => only_case_differs(several.iter().map(|found| found.name.as_str())).unwrap_or_else(|| {
            "RDS lists several of this name; use the endpoint of one of them as `host`, without `rds`".into()
        }),
    };
    Err(Unlisted { name: target.name.clone(), dial: dial.cloned(), rds: name.clone(), problem })
}

/// The entry of `targets` without a host that has the name or the identifier of this database.
fn allowed_clients(found: &Discovered, policy: &Policy) -> Option<Arc<AllowedClients>> {
    let is_named = |name: &str| {
        is_same(name, &found.name) || found.identifier.as_deref().is_some_and(|other| is_same(name, other))
    };
    policy.allowed_clients.iter().find(|(name, _)| is_named(name)).map(|(_, allowed)| Arc::clone(allowed))
}

fn from_discovered(found: &Discovered, policy: &Policy, connectors: &ConnectorCache) -> Target {
    Target {
        name: found.name.clone(),
        identifier: found.identifier.clone(),
        address: found.address.clone(),
        dial: None,
        database: found.database.clone(),
        local_port: found.local_port,
        guard_rails: found.guard_rails.clone(),
        tls: connectors.connector(policy.tls.discovered(&found.roots)),
        tls_open: false,
        iam: Some(found.iam()),
        require_auth: None,
        allowed_clients: allowed_clients(found, policy),
        listed_at: Some(found.listed_at),
    }
}

/// Gives each target without a list the names of all lists at its address: no other name of a database leads around a list.
fn inherit_allowed_clients(targets: &mut [Target]) {
    let lists: Vec<_> = targets
        .iter()
        .filter_map(|target| {
            let addresses = [target.address.clone(), target.dialled().clone()];
            Some((addresses, Arc::clone(target.allowed_clients.as_ref()?)))
        })
        .collect();
    for target in targets.iter_mut().filter(|target| target.allowed_clients.is_none()) {
        let is_here = |address: &HostPort| target.address == *address || target.dialled() == address;
        let mut here = lists.iter().filter(|(addresses, _)| addresses.iter().any(is_here)).peekable();
        if here.peek().is_some() {
            let joined = AllowedClients::joined(here.map(|(_, list)| list.as_ref()));
            target.allowed_clients = Some(Arc::new(joined));
        }
    }
}

fn from_static(
    target: &StaticTarget,
    Place { address, dial, known }: Place<'_>,
    policy: &Policy,
    connectors: &ConnectorCache,
) -> Target {
    let default_tls = match known {
        Some(known) => policy.tls.discovered(&known.roots),
        None => policy.tls.fixed.clone(),
    };
    Target {
        name: target.name.clone(),
        identifier: None,
        address: address.clone(),
        dial: dial.cloned(),
        database: target.database.clone().or_else(|| known?.database.clone()),
        local_port: target.local_port.or_else(|| known?.local_port),
        guard_rails: known.map(|known| known.guard_rails.clone()).unwrap_or_default(),
        tls: connectors.connector(default_tls.with(&target.tls)),
        tls_open: known.is_none() && target.tls.leaves_verification_open(),
        iam: known.map(Discovered::iam),
        require_auth: target.require_auth,
        allowed_clients: target.allowed_clients.clone(),
        listed_at: None,
    }
}

#[cfg(test)]
mod tests {
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
        let found =
            [discovered("a", "eu-west-1"), discovered("b", "us-east-1"), discovered("c", "us-east-1")];
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
        let found =
            [discovered("a", "eu-west-1"), discovered("b", "eu-west-1"), discovered("b", "us-east-1")];
        let targets = vec![rds("A", Some(&cname)), rds("b", None), rds("c", Some(&cname))];
        let merged = merge(&policy(targets, None), &found, &ConnectorCache::default());
        let target = merged.targets.iter().find(|target| target.name == "my-A").unwrap();
        assert_eq!((&target.address, target.dialled()), (&found[0].address, &cname));
        assert_eq!(target.iam.as_ref().unwrap().region, "eu-west-1");
        assert_eq!(merged.aliases[0].name, "a");
        let unlisted: Vec<_> =
            merged.unlisted.iter().map(|target| (target.name.as_str(), target.problem.as_str())).collect();
        let several =
            "RDS lists several of this name; use the endpoint of one of them as `host`, without `rds`";
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
            .map(|target| {
                (target.name.as_str(), target.allowed_clients.as_ref().map(|list| format!("{list:?}")))
            })
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
}

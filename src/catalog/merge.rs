//! Merges static and discovered targets into one list.

use std::collections::HashMap;
use std::time::Duration;

use super::{Discovered, Iam, Policy, Refusal, StaticTarget, Target};
use crate::net::HostPort;
use crate::tls::ConnectorCache;

/// The merged list.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// One target per address, by name.
    pub(super) targets: Vec<Target>,
    /// The databases that the access list refuses.
    pub(super) refused: Vec<(Discovered, Refusal)>,
    /// As in the policy.
    pub(super) max_age: Option<Duration>,
}

impl Merged {
    /// The age of the list that has this target, where it is greater than `max_age`.
    pub(super) fn too_old(&self, target: &Target) -> Option<(Duration, Duration)> {
        let (age, max_age) = (target.listed_at?.age(), self.max_age?);
        (age > max_age).then_some((age, max_age))
    }

    /// The targets whose list is too old.
    pub(super) fn expired(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| self.too_old(target).is_some())
    }
}

/// A static target at the address of a discovered database keeps its IAM and its TLS, and replaces only the keys that it sets.
/// The operator lists it, so the access list does not apply.
pub(super) fn merge(policy: &Policy, discovered: &[Discovered], connectors: &ConnectorCache) -> Merged {
    let Policy { fixed, acl, max_age, .. } = policy;
    let mut targets: HashMap<HostPort, Target> = HashMap::new();
    let mut refused = Vec::new();
    for found in discovered {
        let listed = fixed.iter().any(|target| target.address == found.address);
        match acl.check(&found.tags, &found.related) {
            Err(refusal) if !listed => refused.push((found.clone(), refusal)),
            _ => drop(targets.insert(found.address.clone(), from_discovered(found, policy, connectors))),
        }
    }
    for target in fixed {
        let known = targets.remove(&target.address);
        targets.insert(target.address.clone(), from_static(target, known, policy, connectors));
    }
    let mut targets: Vec<_> = targets.into_values().collect();
    targets.sort_by(|a, b| (&a.name, &a.address).cmp(&(&b.name, &b.address)));
    Merged { targets, refused, max_age: *max_age }
}

fn from_discovered(found: &Discovered, policy: &Policy, connectors: &ConnectorCache) -> Target {
    Target {
        name: found.name.clone(),
        address: found.address.clone(),
        database: found.database.clone(),
        local_port: found.local_port,
        tls: connectors.connector(policy.tls.discovered(&found.region)),
        tls_open: false,
        iam: Some(Iam { region: found.region.clone() }),
        require_auth: None,
        listed_at: Some(found.listed_at),
    }
}

fn from_static(
    target: &StaticTarget,
    known: Option<Target>,
    policy: &Policy,
    connectors: &ConnectorCache,
) -> Target {
    let (database, local_port, iam) =
        known.map_or((None, None, None), |known| (known.database, known.local_port, known.iam));
    let default_tls = match &iam {
        Some(iam) => policy.tls.discovered(&iam.region),
        None => policy.tls.fixed.clone(),
    };
    Target {
        name: target.name.clone(),
        address: target.address.clone(),
        database: target.database.clone().or(database),
        local_port: target.local_port.or(local_port),
        tls: connectors.connector(default_tls.with(&target.tls)),
        tls_open: iam.is_none() && target.tls.leaves_verification_open(),
        iam,
        require_auth: target.require_auth,
        listed_at: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Acl, DefaultTls};
    use super::*;
    use crate::tls::{ClientIdentity, Overrides, Roots, SelfSigned, Settings, SslMode};

    fn discovered(host: &str, region: &str) -> Discovered {
        Discovered {
            name: host.into(),
            address: HostPort::new(host, 5432),
            region: region.into(),
            database: None,
            local_port: None,
            tags: Vec::new(),
            related: Vec::new(),
            listed_at: super::super::ListedAt::now(),
        }
    }

    fn fixed(host: &str, tls: Overrides) -> StaticTarget {
        let address = HostPort::new(host, 5432);
        StaticTarget {
            name: format!("my-{host}"),
            address,
            database: None,
            local_port: None,
            tls,
            require_auth: None,
        }
    }

    fn policy(fixed: Vec<StaticTarget>, rds_roots: Option<Roots>) -> Policy {
        let identity = ClientIdentity::Generated(Arc::new(SelfSigned::generate(&[]).unwrap()));
        let settings = Settings { mode: SslMode::Require, roots: None, identity };
        Policy { fixed, acl: Acl::default(), tls: DefaultTls { fixed: settings, rds_roots }, max_age: None }
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
    fn a_list_that_is_merged_again_keeps_its_connectors() {
        let found = [discovered("a", "eu-west-1"), discovered("b", "eu-west-1")];
        let (policy, cache) = (policy(Vec::new(), None), ConnectorCache::default());
        let (before, after) = (merge(&policy, &found, &cache), merge(&policy, &found, &cache));
        let first = &before.targets[0].tls;
        assert!(before.targets.iter().chain(&after.targets).all(|target| Arc::ptr_eq(first, &target.tls)));
    }
}

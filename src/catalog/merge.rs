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
mod tests;

//! Merges static and discovered targets into one list.

use std::collections::HashMap;
use std::sync::Arc;

use super::{DefaultTls, Discovered, Iam, Policy, Refusal, StaticTarget, Target};
use crate::net::HostPort;

/// The merged list.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// One target per address, by name.
    pub(super) targets: Vec<Target>,
    /// The databases that the access list refuses.
    pub(super) refused: Vec<(Discovered, Refusal)>,
}

/// A static target at the address of a discovered database keeps its IAM and replaces only the keys that it sets. The
/// operator lists it, so the access list does not apply.
pub(super) fn merge(policy: &Policy, discovered: &[Discovered]) -> Merged {
    let Policy { fixed, acl, tls } = policy;
    let mut targets: HashMap<HostPort, Target> = HashMap::new();
    let mut refused = Vec::new();
    for found in discovered {
        let listed = fixed.iter().any(|target| target.address == found.address);
        match acl.check(&found.tags) {
            Err(refusal) if !listed => refused.push((found.clone(), refusal)),
            _ => drop(targets.insert(found.address.clone(), from_discovered(found, tls))),
        }
    }
    for target in fixed {
        let known = targets.remove(&target.address);
        targets.insert(target.address.clone(), from_static(target, known, tls));
    }
    let mut targets: Vec<_> = targets.into_values().collect();
    targets.sort_by(|a, b| (&a.name, &a.address).cmp(&(&b.name, &b.address)));
    Merged { targets, refused }
}

fn from_discovered(found: &Discovered, tls: &DefaultTls) -> Target {
    Target {
        name: found.name.clone(),
        address: found.address.clone(),
        database: found.database.clone(),
        local_port: found.local_port,
        tls: Arc::clone(&tls.discovered),
        iam: Some(Iam { region: found.region.clone() }),
        require_auth: None,
    }
}

fn from_static(target: &StaticTarget, known: Option<Target>, tls: &DefaultTls) -> Target {
    let default_tls = known.as_ref().map_or(&tls.fixed, |known| &known.tls);
    let tls = Arc::clone(target.tls.as_ref().unwrap_or(default_tls));
    let (database, local_port, iam) =
        known.map_or((None, None, None), |known| (known.database, known.local_port, known.iam));
    Target {
        name: target.name.clone(),
        address: target.address.clone(),
        database: target.database.clone().or(database),
        local_port: target.local_port.or(local_port),
        tls,
        iam,
        require_auth: target.require_auth,
    }
}

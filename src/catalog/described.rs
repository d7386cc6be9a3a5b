//! The targets, and the databases that are no targets, each with its properties in RDS: people choose by them.

use super::merge::Merged;
use super::{Discovered, Resource, Skipped, Target};

/// A target with its properties in RDS.
#[derive(Clone, Debug)]
pub struct Described {
    /// The target.
    pub target: Target,
    /// Absent for a target of the configuration that RDS does not list.
    pub resource: Option<Resource>,
}

/// All targets, each with the database at its address.
pub(super) fn described(merged: &Merged, discovered: &[Discovered]) -> Vec<Described> {
    let describe = |target: &Target| Described {
        resource: discovered
            .iter()
            .find(|found| found.address == target.address)
            .map(|found| found.resource.clone()),
        target: target.clone(),
    };
    let mut targets: Vec<_> = merged.named_targets().map(describe).collect();
    targets.sort_by(|left, right| {
        (&left.target.name, &left.target.address).cmp(&(&right.target.name, &right.target.address))
    });
    targets
}

/// The databases that the access list refuses, and the targets of the configuration that need a database which RDS does not list.
pub(super) fn not_allowed(merged: &Merged) -> Vec<Skipped> {
    let refused = merged.refused.iter().map(|(database, refusal)| Skipped {
        name: database.name.clone(),
        address: Some(database.address.clone()),
        region: Some(database.region.clone()),
        database: database.database.clone(),
        resource: Some(database.resource.clone()),
        reason: refusal.to_string(),
    });
    let unlisted = merged.unlisted.iter().map(|target| Skipped {
        name: target.name.clone(),
        address: target.dial.clone(),
        region: None,
        database: None,
        resource: None,
        reason: format!("it needs the RDS database \"{}\": {}", target.rds, target.problem),
    });
    refused.chain(unlisted).collect()
}

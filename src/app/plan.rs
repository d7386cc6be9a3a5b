//! Which targets a client serves, each at which port, and which it cannot serve.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::catalog::{LocalPort, NamePattern, Target, local_ports};
use crate::config::Config;
use crate::net::Address;

/// The targets of a selection.
#[derive(Default)]
pub(super) struct Plan {
    /// By name.
    pub(super) targets: BTreeMap<String, Planned>,
    /// The names that cannot be served, and why.
    pub(super) problems: BTreeMap<String, String>,
}

/// A target and its port.
pub(super) struct Planned {
    pub(super) target: Arc<Target>,
    /// Absent where no port is left.
    pub(super) port: Option<LocalPort>,
}

/// Plans the targets among `known` that match the selection. Each has the port that it has when all are selected. `shared` is the
/// address of the shared door, whose port no target gets.
pub(super) fn plan(config: &Config, known: Vec<Target>, selection: &[NamePattern], shared: &Address) -> Plan {
    let mut plan = Plan::default();
    for (name, several) in by_name(known) {
        let fixed = several.iter().position(|target| target.listed_at.is_none());
        let addresses: Vec<_> = several.iter().map(|target| target.address.to_string()).collect();
        match (fixed, several.len()) {
            (None, 2..) => {
                let addresses = addresses.join(", ");
                plan.problems.insert(name, format!("several databases have this name: {addresses}"));
            }
            (index, _) => {
                let target = several.into_iter().nth(index.unwrap_or_default());
                let target = target.map(|target| Arc::new(config.with_named(target)));
                plan.targets.extend(target.map(|target| (name, Planned { target, port: None })));
            }
        }
    }
    assign_ports(config, &mut plan, shared.port());
    let is_selected = |name: &str| selection.iter().any(|pattern| pattern.matches(name));
    plan.problems.retain(|name, _| is_selected(name));
    plan.targets.retain(|name, planned| {
        is_selected(name) || planned.target.identifier.as_deref().is_some_and(is_selected)
    });
    plan
}

fn by_name(known: Vec<Target>) -> BTreeMap<String, Vec<Target>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for target in known {
        found.entry(target.name.clone()).or_default().push(target);
    }
    found
}

fn assign_ports(config: &Config, plan: &mut Plan, shared: Option<u16>) {
    let configured: BTreeMap<_, _> =
        plan.targets.keys().filter_map(|name| Some((configured_port(config, name)?, name.clone()))).collect();
    // The empty name comes first, so the shared door keeps its port.
    let mut wishes = vec![("", shared)];
    for (name, Planned { target, .. }) in &plan.targets {
        // A port of the configuration comes before the same port in a tag of another target.
        let of_other = |port: &u16| configured.get(port).is_some_and(|owner| owner != name);
        let is_tag = configured_port(config, name).is_none();
        wishes.push((name, target.local_port.filter(|port| !is_tag || !of_other(port))));
    }
    if shared.is_none() {
        wishes.remove(0);
    }
    let ports: Vec<_> = local_ports(wishes).into_iter().map(|(name, port)| (name.to_owned(), port)).collect();
    for (name, port) in ports {
        if let Some(planned) = plan.targets.get_mut(&name) {
            let wanted = planned.target.local_port.unwrap_or(port.wanted);
            planned.port = Some(LocalPort { wanted, ..port });
        }
    }
}

/// The `local_port` of the configuration for this name, not that of a tag.
fn configured_port(config: &Config, name: &str) -> Option<u16> {
    let entry = config.targets.iter().find(|target| target.name == *name);
    entry.and_then(|entry| entry.local_port).or_else(|| config.named.get(name)?.local_port)
}

/// The targets of the plan that have the same port in the configuration, in a sentence.
pub(super) fn same_port(config: &Config, plan: &Plan) -> Option<String> {
    let mut owners: BTreeMap<u16, BTreeSet<&str>> = BTreeMap::new();
    for name in plan.targets.keys() {
        if let Some(port) = configured_port(config, name) {
            owners.entry(port).or_default().insert(name);
        }
    }
    let (port, names) = owners.into_iter().find(|(_, names)| names.len() > 1)?;
    let names: Vec<_> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    Some(format!("the targets {} have the same local_port {port}; change one of them", names.join(" and ")))
}

//! The local ports of a client that serves several targets.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Ports for targets that have none of their own: above the registered ports of databases, below the ephemeral ones of Linux.
const DERIVED: RangeInclusive<u16> = 20_000..=29_999;

/// The port of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPort {
    /// The port to listen on.
    pub port: u16,
    /// The port that it would have if no other target had it: the configured one, else the one derived from its name.
    pub wanted: u16,
}

impl LocalPort {
    /// Whether another target has the port that this one would have.
    #[must_use]
    pub fn is_moved(self) -> bool {
        self.port != self.wanted
    }
}

/// A port for each of these targets, given by name and configured port. Configured ports come first, then the others in the order
/// of their names, so every machine with the same targets has the same ports. A target whose port is taken gets the next free one
/// of the derived range; one for which none is left is absent.
#[must_use]
pub fn local_ports<'a>(
    targets: impl IntoIterator<Item = (&'a str, Option<u16>)>,
) -> BTreeMap<&'a str, LocalPort> {
    let targets: BTreeMap<_, _> = targets.into_iter().collect();
    let (mut ports, mut taken) = (BTreeMap::new(), BTreeSet::new());
    for (&name, &configured) in &targets {
        if let Some(port) = configured.filter(|port| taken.insert(*port)) {
            ports.insert(name, LocalPort { port, wanted: port });
        }
    }
    for (name, configured) in targets {
        let wanted = configured.unwrap_or_else(|| derive(name));
        if !ports.contains_key(name)
            && let Some(port) = free(wanted, &taken)
        {
            taken.insert(port);
            ports.insert(name, LocalPort { port, wanted });
        }
    }
    ports
}

/// The wanted port, else the next free one of the derived range.
fn free(wanted: u16, taken: &BTreeSet<u16>) -> Option<u16> {
    let start = if DERIVED.contains(&wanted) { wanted } else { *DERIVED.start() };
    let from_start = start..=*DERIVED.end();
    let from_beginning = *DERIVED.start()..start;
    std::iter::once(wanted).chain(from_start).chain(from_beginning).find(|port| !taken.contains(port))
}

/// The port that follows from a name alone: FNV-1a with 32 bits, folded into the range. The case of a name does not count, as
/// nowhere else.
fn derive(name: &str) -> u16 {
    const OFFSET_BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    let hash = name
        .to_lowercase()
        .bytes()
        .fold(OFFSET_BASIS, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(PRIME));
    let size = u32::from(DERIVED.end() - DERIVED.start()) + 1;
    DERIVED.start() + u16::try_from(hash % size).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(targets: &[(&'static str, Option<u16>)]) -> BTreeMap<&'static str, LocalPort> {
        local_ports(targets.iter().copied())
    }

    #[test]
    fn a_name_has_the_same_port_on_every_machine() {
        // Written down: people copy these numbers into the settings of their tools.
        let alone = |name: &'static str| ports(&[(name, None)])[name].port;
        assert_eq!(alone("orders"), 29_820);
        assert_eq!(alone("Orders"), alone("orders"));
        let all = ports(&[("billing", None), ("orders", None), ("users", Some(5433))]);
        assert_eq!(all["orders"], LocalPort { port: alone("orders"), wanted: alone("orders") });
        assert_eq!(all["users"].port, 5433);
    }

    #[test]
    fn a_taken_port_moves_the_later_name() {
        let all = ports(&[("b", Some(5433)), ("a", Some(5433)), ("c", Some(20_000))]);
        assert_eq!(all["a"].port, 5433);
        assert_eq!(all["b"], LocalPort { port: 20_001, wanted: 5433 });
        assert!(all["b"].is_moved());
        assert_eq!(all["c"].port, 20_000, "a configured port");
    }

    #[test]
    fn a_configured_port_comes_before_a_derived_one() {
        let orders = derive("orders");
        let all = ports(&[("orders", None), ("zebra", Some(orders))]);
        assert_eq!(all["zebra"].port, orders);
        assert_eq!(all["orders"].port, orders + 1);
    }

    #[test]
    fn every_port_is_in_the_range_and_none_is_used_twice() {
        let names: Vec<_> = (0..10_001).map(|number| format!("database-{number}")).collect();
        let all = local_ports(names.iter().map(|name| (name.as_str(), None)));
        assert_eq!(all.len(), 10_000, "one does not fit");
        let used: BTreeSet<_> = all.values().map(|port| port.port).collect();
        assert_eq!(used.len(), 10_000);
        assert!(used.iter().all(|port| DERIVED.contains(port)));
    }
}

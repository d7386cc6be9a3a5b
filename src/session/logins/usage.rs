//! How many logins there are per target and per peer, counted in one pass.

use std::collections::HashMap;
use std::net::IpAddr;

use super::entry::Entry;

/// The logins that count against a limit.
#[derive(Default)]
pub(super) struct Usage<'a> {
    targets: HashMap<&'a str, usize>,
    peers: HashMap<IpAddr, usize>,
    shares: HashMap<(Option<IpAddr>, &'a str), usize>,
}

impl<'a> Usage<'a> {
    pub(super) fn of(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut usage = Self::default();
        for entry in entries {
            if let Some(peer) = entry.peer.filter(|_| entry.holds_peer()) {
                *usage.peers.entry(peer).or_default() += 1;
            }
            if entry.holds_target() {
                *usage.targets.entry(&entry.target).or_default() += 1;
                *usage.shares.entry((entry.peer, &entry.target)).or_default() += 1;
            }
        }
        usage
    }

    /// Those at the target of this login.
    pub(super) fn at_target(&self, entry: &Entry) -> usize {
        self.targets.get(&*entry.target).copied().unwrap_or_default()
    }

    /// Those of the peer of this login; none over a Unix socket, whose logins have no peer.
    pub(super) fn of_peer(&self, entry: &Entry) -> usize {
        entry.peer.and_then(|peer| self.peers.get(&peer)).copied().unwrap_or_default()
    }

    /// Those of the same peer at the same target.
    pub(super) fn share(&self, entry: &Entry) -> usize {
        self.shares.get(&(entry.peer, &*entry.target)).copied().unwrap_or_default()
    }
}

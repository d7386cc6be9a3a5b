//! Pending connections: accepted, but the peer has not sent a whole request yet. Beyond a limit the oldest connection of
//! the busiest address is dropped. A peer that sends its request at once is never affected, so idle connections cannot
//! exhaust the limit.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::Peer;

/// The pending connections of one service, whichever listener accepted them. Clones share the set.
#[derive(Clone, Default)]
pub struct Pending {
    set: Arc<Mutex<Set>>,
}

#[derive(Default)]
struct Set {
    next: u64,
    /// In the order of arrival.
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    peer: Peer,
    dropped: CancellationToken,
}

/// A connection's entry among the pending ones, removed when dropped.
pub struct PendingPermit {
    pending: Pending,
    number: u64,
    dropped: CancellationToken,
}

impl Pending {
    /// Adds a connection. Where `limit` are pending already, the oldest one of the address that has the most is dropped
    /// and its peer returned.
    #[must_use = "the entry is removed when the permit is dropped"]
    pub fn add(&self, peer: Peer, limit: usize) -> (PendingPermit, Option<Peer>) {
        let mut set = self.set.lock();
        let dropped = if set.entries.len() >= limit { set.drop_one() } else { None };
        let number = set.next;
        set.next += 1;
        let token = CancellationToken::new();
        set.entries.insert(number, Entry { peer, dropped: token.clone() });
        (PendingPermit { pending: self.clone(), number, dropped: token }, dropped)
    }

    /// How many connections are pending.
    #[must_use]
    pub fn count(&self) -> usize {
        self.set.lock().entries.len()
    }
}

impl Set {
    fn drop_one(&mut self) -> Option<Peer> {
        let busiest = self.busiest_network();
        let (&number, _) = self.entries.iter().find(|(_, entry)| entry.peer.network() == busiest)?;
        let entry = self.entries.remove(&number)?;
        entry.dropped.cancel();
        Some(entry.peer)
    }

    /// The network with the most pending connections; `None` stands for all Unix sockets together.
    fn busiest_network(&self) -> Option<IpAddr> {
        let mut counts = HashMap::new();
        for entry in self.entries.values() {
            *counts.entry(entry.peer.network()).or_insert(0_usize) += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).and_then(|(network, _)| network)
    }
}

impl PendingPermit {
    /// Counts the connection as one of this peer from now on, which a load balancer forwards.
    pub fn forwarded_for(&self, peer: Peer) {
        if let Some(entry) = self.pending.set.lock().entries.get_mut(&self.number) {
            entry.peer = peer;
        }
    }

    /// Resolves when this connection has to make room for a newer one.
    pub async fn dropped(&self) {
        self.dropped.cancelled().await;
    }
}

impl Drop for PendingPermit {
    fn drop(&mut self) {
        self.pending.set.lock().entries.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8, port: u16) -> Peer {
        Peer::Tcp(([192, 0, 2, last], port).into())
    }

    #[test]
    fn the_oldest_makes_room_for_the_newest() {
        let pending = Pending::default();
        let (first, none) = pending.add(peer(1, 1), 2);
        assert_eq!(none, None);
        let (second, none) = pending.add(peer(1, 2), 2);
        assert_eq!(none, None);
        let (third, dropped) = pending.add(peer(1, 3), 2);
        assert_eq!(dropped, Some(peer(1, 1)));
        assert!(first.dropped.is_cancelled() && !second.dropped.is_cancelled());
        drop(second);
        let (_fourth, none) = pending.add(peer(1, 4), 2);
        assert_eq!(none, None, "a permit that was dropped leaves room");
        drop((first, third));
        assert_eq!(pending.count(), 1, "no entry stays behind");
    }

    /// All connections come from the address of the load balancer.
    #[test]
    fn a_forwarded_connection_counts_for_the_peer_behind_the_load_balancer() {
        let pending = Pending::default();
        let admitted: Vec<_> = (0..3).map(|port| pending.add(peer(9, port), 3).0).collect();
        for (permit, last) in admitted.iter().zip([1, 2, 2]) {
            permit.forwarded_for(peer(last, 1));
        }
        let (_newest, dropped) = pending.add(peer(9, 3), 3);
        assert_eq!(dropped, Some(peer(2, 1)));
        admitted[1].forwarded_for(peer(3, 1));
        assert_eq!(pending.count(), 3, "a dropped one does not come back");
    }

    #[test]
    fn one_address_cannot_push_the_others_out() {
        let pending = Pending::default();
        let (patient, _) = pending.add(peer(1, 1), 10);
        let flood: Vec<_> = (0..100).map(|port| pending.add(peer(2, port), 10)).collect();
        assert!(!patient.dropped.is_cancelled());
        let dropped: Vec<_> = flood.iter().filter_map(|(_, dropped)| *dropped).collect();
        assert_eq!(dropped.len(), 91);
        assert!(dropped.iter().all(|peer_dropped| peer_dropped.network() == peer(2, 0).network()));
    }
}

//! Slots: the permits that count against `max_connections` and `max_connections_per_peer`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{Failure, Limits, metrics};
use crate::net::{Peer, PendingPermit};

/// How many cancel requests are served beyond the limits, in all and for one IP address.
const CANCELS: usize = 32;
const CANCELS_OF_PEER: usize = 16;

/// The slots in use: by sessions, from the startup packet on, and by cancel requests.
#[derive(Clone, Default)]
pub(super) struct Slots {
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: Count,
    peers: HashMap<IpAddr, Count>,
}

#[derive(Default)]
struct Count {
    sessions: usize,
    cancels: usize,
}

impl Count {
    fn of(&mut self, beyond_limit: bool) -> &mut usize {
        if beyond_limit { &mut self.cancels } else { &mut self.sessions }
    }
}

/// The permit of one connection, free again when released or dropped.
pub(super) struct Slot {
    slots: Slots,
    peer: Option<IpAddr>,
    beyond_limit: bool,
    released: AtomicBool,
    /// Why this connection may only deliver a cancel request, where it is beyond a limit.
    pub(super) refused: Option<Failure>,
}

impl Slots {
    /// A slot for a connection from this network; beyond the limits only for one that may be a cancel request.
    pub(super) fn take(
        &self,
        limits: &Limits,
        peer: Option<IpAddr>,
        may_cancel: bool,
    ) -> Result<Slot, Failure> {
        let mut taken = self.taken.lock();
        let refused = match taken.refuses(limits, peer) {
            Some(failure) if !may_cancel || !taken.has_room_to_cancel(peer) => return Err(failure),
            other => other,
        };
        let beyond_limit = refused.is_some();
        *taken.all.of(beyond_limit) += 1;
        metrics::slots_used(taken.all.sessions);
        if let Some(peer) = peer {
            *taken.peers.entry(peer).or_default().of(beyond_limit) += 1;
        }
        Ok(Slot { slots: self.clone(), peer, beyond_limit, released: AtomicBool::new(false), refused })
    }
}

impl Taken {
    fn refuses(&self, limits: &Limits, peer: Option<IpAddr>) -> Option<Failure> {
        if let Some(failure) = self.refuses_peer(limits, peer) {
            return Some(failure);
        }
        let full = self.all.sessions >= limits.max_connections;
        full.then_some(Failure::TooManyConnections(limits.max_connections))
    }

    fn refuses_peer(&self, limits: &Limits, peer: Option<IpAddr>) -> Option<Failure> {
        let limit = limits.max_connections_per_peer?;
        let of_peer = self.peers.get(&peer?).map_or(0, |count| count.sessions);
        (of_peer >= limit).then_some(Failure::TooManyConnectionsOfPeer(limit))
    }

    /// Whether one more may cancel beyond the limits. One address cannot take the room of all others.
    fn has_room_to_cancel(&self, peer: Option<IpAddr>) -> bool {
        let of_peer = peer.and_then(|peer| self.peers.get(&peer)).map_or(0, |count| count.cancels);
        self.all.cancels < CANCELS && of_peer < CANCELS_OF_PEER
    }
}

impl Slot {
    /// Frees the slot of a connection that is about to end.
    pub(super) fn release(&self) {
        if self.released.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut taken = self.slots.taken.lock();
        *taken.all.of(self.beyond_limit) -= 1;
        metrics::slots_used(taken.all.sessions);
        let Some(peer) = self.peer else { return };
        if let Some(count) = taken.peers.get_mut(&peer) {
            *count.of(self.beyond_limit) -= 1;
            if (count.sessions, count.cancels) == (0, 0) {
                taken.peers.remove(&peer);
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.release();
    }
}

/// What a connection counts against.
pub(super) enum Permit {
    /// The limit of pending connections: its startup packet has not arrived.
    Pending(PendingPermit),
    /// `max_connections`.
    Slot(Arc<Slot>),
}

impl Permit {
    pub(super) fn slot(&self) -> Option<Arc<Slot>> {
        match self {
            Self::Pending(_) => None,
            Self::Slot(slot) => Some(Arc::clone(slot)),
        }
    }

    /// Counts a pending connection as one of the peer behind a load balancer.
    pub(super) fn forwarded_for(&self, peer: Peer) {
        if let Self::Pending(permit) = self {
            permit.forwarded_for(peer);
        }
    }

    /// Resolves when newer connections need the room.
    pub(super) async fn dropped(&self) {
        match self {
            Self::Pending(permit) => permit.dropped().await,
            Self::Slot(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max_connections: usize, max_connections_per_peer: Option<usize>) -> Limits {
        Limits { max_connections, max_connections_per_peer, ..Limits::default() }
    }

    #[test]
    fn beyond_the_limit_a_few_may_cancel_and_no_session_begins() {
        let (slots, limits) = (Slots::default(), limits(1, None));
        let first = slots.take(&limits, None, false).unwrap();
        assert!(first.refused.is_none());
        assert!(slots.take(&limits, None, false).is_err());
        let cancels: Vec<_> = (0..CANCELS).map(|_| slots.take(&limits, None, true).unwrap()).collect();
        assert!(cancels.iter().all(|slot| slot.refused.is_some()));
        assert!(slots.take(&limits, None, true).is_err());
        drop(cancels);
        assert!(slots.take(&limits, None, true).is_ok(), "their slots are free again");
        drop(first);
        assert!(slots.take(&limits, None, false).unwrap().refused.is_none(), "and so is the session's slot");
    }

    #[test]
    fn a_slot_is_released_once() {
        let (slots, limits) = (Slots::default(), limits(1, Some(1)));
        let peer = Some(IpAddr::from([127, 0, 0, 1]));
        let first = slots.take(&limits, peer, false).unwrap();
        first.release();
        let second = slots.take(&limits, peer, false).unwrap();
        drop(first);
        assert!(slots.take(&limits, peer, false).is_err());
        drop(second);
        assert!(slots.taken.lock().peers.is_empty());
    }

    #[test]
    fn one_peer_cannot_take_all_slots() {
        let (slots, limits) = (Slots::default(), limits(10, Some(1)));
        let one = Some(IpAddr::from([127, 0, 0, 1]));
        let other = Some(IpAddr::from([127, 0, 0, 2]));
        let first = slots.take(&limits, one, false).unwrap();
        assert!(slots.take(&limits, one, false).is_err());
        assert!(slots.take(&limits, other, false).is_ok());
        drop(first);
        assert!(slots.take(&limits, one, false).is_ok());
        assert!(slots.taken.lock().peers.is_empty(), "no count stays behind");
    }

    #[test]
    fn one_peer_cannot_keep_the_others_from_cancelling() {
        let (slots, limits) = (Slots::default(), limits(10, Some(1)));
        let one = Some(IpAddr::from([127, 0, 0, 1]));
        let _session = slots.take(&limits, one, false).unwrap();
        let cancels: Vec<_> = std::iter::from_fn(|| slots.take(&limits, one, true).ok()).collect();
        assert_eq!(cancels.len(), CANCELS_OF_PEER);
        let other = Some(IpAddr::from([127, 0, 0, 2]));
        let _session_of_other = slots.take(&limits, other, false).unwrap();
        assert!(slots.take(&limits, other, true).unwrap().refused.is_some());
    }

    #[test]
    fn a_lowered_limit_applies_to_new_connections() {
        let slots = Slots::default();
        let _first = slots.take(&limits(2, None), None, false).unwrap();
        let _second = slots.take(&limits(2, None), None, false).unwrap();
        assert!(slots.take(&limits(1, None), None, false).is_err());
    }
}

//! How many sessions there are, and who has them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Failure, Limits};

/// Cancel requests that are let in beyond the limits, and how many of them one IP address may have.
const CANCELS: usize = 32;
const CANCELS_OF_PEER: usize = 16;

/// Counts the sessions, from the startup packet on, and the cancel requests.
#[derive(Clone, Default)]
pub(super) struct Places {
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

/// A connection's right to go on, given back when dropped.
pub(super) struct Place {
    places: Places,
    peer: Option<IpAddr>,
    beyond_limit: bool,
    /// Why this connection may only deliver a cancel request.
    pub(super) refused: Option<Failure>,
}

impl Places {
    /// A place for a connection from this address; beyond the limits only for one that may be a cancel request.
    pub(super) fn take(
        &self,
        limits: &Limits,
        peer: Option<IpAddr>,
        may_cancel: bool,
    ) -> Result<Place, Failure> {
        let mut taken = self.taken();
        let refused = taken.refuses(limits, peer);
        let beyond_limit = refused.is_some();
        let refused = match refused {
            Some(failure) if !may_cancel || !taken.has_room_to_cancel(peer) => return Err(failure),
            other => other,
        };
        *taken.all.of(beyond_limit) += 1;
        if let Some(peer) = peer {
            *taken.peers.entry(peer).or_default().of(beyond_limit) += 1;
        }
        Ok(Place { places: self.clone(), peer, beyond_limit, refused })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn refuses(&self, limits: &Limits, peer: Option<IpAddr>) -> Option<Failure> {
        if self.all.sessions >= limits.max_connections {
            return Some(Failure::TooManyConnections { limit: limits.max_connections });
        }
        let limit = limits.max_connections_per_peer?;
        let of_peer = self.peers.get(&peer?).map_or(0, |count| count.sessions);
        (of_peer >= limit).then_some(Failure::TooManyConnectionsOfPeer { limit })
    }

    /// Whether one more may cancel beyond the limits: no address takes the room of all others.
    fn has_room_to_cancel(&self, peer: Option<IpAddr>) -> bool {
        let of_peer = peer.and_then(|peer| self.peers.get(&peer)).map_or(0, |count| count.cancels);
        self.all.cancels < CANCELS && of_peer < CANCELS_OF_PEER
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        *taken.all.of(self.beyond_limit) -= 1;
        let Some(peer) = self.peer else { return };
        if let Some(count) = taken.peers.get_mut(&peer) {
            *count.of(self.beyond_limit) -= 1;
            if (count.sessions, count.cancels) == (0, 0) {
                taken.peers.remove(&peer);
            }
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
    fn beyond_the_limit_some_may_cancel_and_nobody_else_gets_in() {
        let (places, limits) = (Places::default(), limits(1, None));
        let first = places.take(&limits, None, false).unwrap();
        assert!(first.refused.is_none());
        assert!(places.take(&limits, None, false).is_err());
        let cancels: Vec<_> = (0..CANCELS).map(|_| places.take(&limits, None, true).unwrap()).collect();
        assert!(cancels.iter().all(|place| place.refused.is_some()));
        assert!(places.take(&limits, None, true).is_err());
        drop(cancels);
        assert!(places.take(&limits, None, true).is_ok(), "their places are given back");
        drop(first);
        assert!(places.take(&limits, None, false).unwrap().refused.is_none(), "and so is the session's");
    }

    #[test]
    fn one_peer_cannot_take_all_places() {
        let (places, limits) = (Places::default(), limits(10, Some(1)));
        let one = Some(IpAddr::from([127, 0, 0, 1]));
        let other = Some(IpAddr::from([127, 0, 0, 2]));
        let first = places.take(&limits, one, false).unwrap();
        assert!(places.take(&limits, one, false).is_err());
        assert!(places.take(&limits, other, false).is_ok());
        drop(first);
        assert!(places.take(&limits, one, false).is_ok());
        assert!(places.taken().peers.is_empty(), "nothing stays behind");
    }

    #[test]
    fn one_peer_cannot_keep_all_others_from_cancelling() {
        let (places, limits) = (Places::default(), limits(10, Some(1)));
        let one = Some(IpAddr::from([127, 0, 0, 1]));
        let _session = places.take(&limits, one, false).unwrap();
        let cancels: Vec<_> = std::iter::from_fn(|| places.take(&limits, one, true).ok()).collect();
        assert_eq!(cancels.len(), CANCELS_OF_PEER);
        let other = Some(IpAddr::from([127, 0, 0, 2]));
        let _session_of_other = places.take(&limits, other, false).unwrap();
        assert!(places.take(&limits, other, true).unwrap().refused.is_some());
    }

    #[test]
    fn a_limit_that_was_lowered_counts_for_those_to_come() {
        let places = Places::default();
        let _first = places.take(&limits(2, None), None, false).unwrap();
        let _second = places.take(&limits(2, None), None, false).unwrap();
        assert!(places.take(&limits(1, None), None, false).is_err());
    }
}

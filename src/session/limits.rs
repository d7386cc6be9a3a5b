//! How much one proxy takes on, and how long it waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Failure;

/// Connections beyond the limit that are heard out, to be told that there are too many or to deliver a cancel
/// request; and how many of them one IP address may have. Everything beyond that is closed unheard.
const HEARD_BEYOND_LIMIT: usize = 32;
const HEARD_OF_PEER: usize = 16;

/// Bounds of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once, those that are logging in included.
    pub max_connections: usize,
    /// The same from one IP address.
    pub max_connections_per_peer: Option<usize>,
    /// From accept until the session is ready, without the time in which the application is asked for a password.
    pub handshake_timeout: Duration,
    /// To reach the hop, all its addresses together. A tunnel has what is left of the handshake.
    pub connect_timeout: Duration,
    /// A session without a byte in either direction for this long is ended.
    pub idle_timeout: Option<Duration>,
    /// The query of an application that vanished is cancelled.
    pub cancel_on_disconnect: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            max_connections_per_peer: None,
            handshake_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: None,
            cancel_on_disconnect: false,
        }
    }
}

/// Counts who is connected.
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
    heard: usize,
}

impl Count {
    fn of(&mut self, beyond_limit: bool) -> &mut usize {
        if beyond_limit { &mut self.heard } else { &mut self.sessions }
    }
}

/// A connection's right to exist, given back when dropped.
pub(super) struct Place {
    places: Places,
    peer: Option<IpAddr>,
    beyond_limit: bool,
    /// Why this connection may only deliver a cancel request.
    pub(super) refused: Option<Failure>,
}

impl Places {
    /// A place for a connection from this address, or none at all when even those beyond the limit are too many.
    pub(super) fn take(&self, limits: &Limits, peer: Option<IpAddr>) -> Option<Place> {
        let mut taken = self.taken();
        let refused = taken.refuses(limits, peer);
        let beyond_limit = refused.is_some();
        if beyond_limit && !taken.hears(peer) {
            return None;
        }
        *taken.all.of(beyond_limit) += 1;
        if let Some(peer) = peer {
            *taken.peers.entry(peer).or_default().of(beyond_limit) += 1;
        }
        Some(Place { places: self.clone(), peer, beyond_limit, refused })
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

    /// Whether one more may be heard beyond the limits: no address takes the room of all others.
    fn hears(&self, peer: Option<IpAddr>) -> bool {
        let of_peer = peer.and_then(|peer| self.peers.get(&peer)).map_or(0, |count| count.heard);
        self.all.heard < HEARD_BEYOND_LIMIT && of_peer < HEARD_OF_PEER
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        *taken.all.of(self.beyond_limit) -= 1;
        let Some(peer) = self.peer else { return };
        if let Some(count) = taken.peers.get_mut(&peer) {
            *count.of(self.beyond_limit) -= 1;
            if (count.sessions, count.heard) == (0, 0) {
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
    fn beyond_the_limit_a_few_are_heard_and_the_rest_is_not() {
        let (places, limits) = (Places::default(), limits(1, None));
        let first = places.take(&limits, None).unwrap();
        assert!(first.refused.is_none());
        let heard: Vec<_> = (0..HEARD_BEYOND_LIMIT).map(|_| places.take(&limits, None).unwrap()).collect();
        assert!(heard.iter().all(|place| place.refused.is_some()));
        assert!(places.take(&limits, None).is_none());
        drop(heard);
        assert!(places.take(&limits, None).is_some(), "their places are given back");
        drop(first);
        assert!(places.take(&limits, None).unwrap().refused.is_none(), "and so is the session's");
    }

    #[test]
    fn one_peer_cannot_take_all_places() {
        let (places, limits) = (Places::default(), limits(10, Some(1)));
        let one = Some(IpAddr::from([127, 0, 0, 1]));
        let other = Some(IpAddr::from([127, 0, 0, 2]));
        let first = places.take(&limits, one).unwrap();
        assert!(first.refused.is_none());
        assert!(places.take(&limits, one).unwrap().refused.is_some());
        assert!(places.take(&limits, other).unwrap().refused.is_none());
        drop(first);
        assert!(places.take(&limits, one).unwrap().refused.is_none());
        assert!(places.taken().peers.is_empty(), "nothing stays behind");
    }

    #[test]
    fn one_peer_cannot_keep_all_others_from_being_heard() {
        let (places, limits) = (Places::default(), limits(10, Some(1)));
        let one = Some(IpAddr::from([127, 0, 0, 1]));
        let _session = places.take(&limits, one).unwrap();
        let heard: Vec<_> = std::iter::from_fn(|| places.take(&limits, one)).collect();
        assert_eq!(heard.len(), HEARD_OF_PEER);
        let other = Some(IpAddr::from([127, 0, 0, 2]));
        let _session_of_other = places.take(&limits, other).unwrap();
        assert!(places.take(&limits, other).unwrap().refused.is_some(), "heard, to cancel a query");
    }

    #[test]
    fn a_limit_that_was_lowered_counts_for_those_to_come() {
        let places = Places::default();
        let _first = places.take(&limits(2, None), None).unwrap();
        let _second = places.take(&limits(2, None), None).unwrap();
        assert!(places.take(&limits(1, None), None).unwrap().refused.is_some());
    }
}

//! How much one proxy takes on, and how long it waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Failure;

/// Connections beyond the limit that are heard out, to be told that there are too many or to deliver a cancel
/// request. Everything beyond that is closed unheard.
const HEARD_BEYOND_LIMIT: usize = 32;

/// Bounds of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once.
    pub max_connections: usize,
    /// Sessions at once from one IP address.
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
    sessions: usize,
    heard: usize,
    peers: HashMap<IpAddr, usize>,
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
        if refused.is_some() {
            if taken.heard >= HEARD_BEYOND_LIMIT {
                return None;
            }
            taken.heard += 1;
        } else {
            taken.sessions += 1;
            if let Some(peer) = peer {
                *taken.peers.entry(peer).or_default() += 1;
            }
        }
        Some(Place { places: self.clone(), peer, beyond_limit: refused.is_some(), refused })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn refuses(&self, limits: &Limits, peer: Option<IpAddr>) -> Option<Failure> {
        if self.sessions >= limits.max_connections {
            return Some(Failure::TooManyConnections { limit: limits.max_connections });
        }
        let limit = limits.max_connections_per_peer?;
        let of_peer = self.peers.get(&peer?).copied().unwrap_or_default();
        (of_peer >= limit).then_some(Failure::TooManyConnectionsOfPeer { limit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if self.beyond_limit {
            taken.heard -= 1;
            return;
        }
        taken.sessions -= 1;
        let Some(peer) = self.peer else { return };
        if let Some(count) = taken.peers.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
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
    fn a_limit_that_was_lowered_counts_for_those_to_come() {
        let places = Places::default();
        let _first = places.take(&limits(2, None), None).unwrap();
        let _second = places.take(&limits(2, None), None).unwrap();
        assert!(places.take(&limits(1, None), None).unwrap().refused.is_some());
    }
}

//! How much one proxy takes on, and how long it waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    /// To reach the hop, all its addresses together.
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
pub(super) struct Places {
    limits: Limits,
    sessions: Arc<Semaphore>,
    heard: Arc<Semaphore>,
    peers: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's right to exist, given back when dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _peer: Option<PeerPlace>,
    refused: Option<Failure>,
}

struct PeerPlace {
    peers: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            sessions: Arc::new(Semaphore::new(limits.max_connections)),
            heard: Arc::new(Semaphore::new(HEARD_BEYOND_LIMIT)),
            peers: Arc::default(),
            limits,
        }
    }

    /// A place for a connection from this address, or none at all when even those beyond the limit are too many.
    pub(super) fn take(&self, peer: Option<IpAddr>) -> Option<Place> {
        let full = match self.limits.max_connections_per_peer.zip(peer) {
            Some((limit, address)) => {
                let place = PeerPlace::enter(&self.peers, address);
                if place.count() > limit {
                    Err(Failure::TooManyConnectionsOfPeer { limit })
                } else {
                    Ok(Some(place))
                }
            }
            None => Ok(None),
        };
        let full = full.and_then(|peer| match Arc::clone(&self.sessions).try_acquire_owned() {
            Ok(permit) => Ok(Place { _permit: permit, _peer: peer, refused: None }),
            Err(_) => Err(Failure::TooManyConnections { limit: self.limits.max_connections }),
        });
        full.map_or_else(|failure| self.beyond(failure), Some)
    }

    fn beyond(&self, failure: Failure) -> Option<Place> {
        let permit = Arc::clone(&self.heard).try_acquire_owned().ok()?;
        Some(Place { _permit: permit, _peer: None, refused: Some(failure) })
    }
}

impl Place {
    /// Why this connection may only deliver a cancel request.
    pub(super) fn refused(&mut self) -> Option<Failure> {
        self.refused.take()
    }
}

impl PeerPlace {
    fn enter(peers: &Arc<Mutex<HashMap<IpAddr, usize>>>, address: IpAddr) -> Self {
        *peers.lock().unwrap_or_else(PoisonError::into_inner).entry(address).or_default() += 1;
        Self { peers: Arc::clone(peers), address }
    }

    fn count(&self) -> usize {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(&self.address).copied().unwrap_or_default()
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = peers.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(max_connections: usize, max_connections_per_peer: Option<usize>) -> Places {
        Places::new(Limits { max_connections, max_connections_per_peer, ..Limits::default() })
    }

    #[test]
    fn beyond_the_limit_a_few_are_heard_and_the_rest_is_not() {
        let places = places(1, None);
        let mut first = places.take(None).unwrap();
        assert!(first.refused().is_none());
        let heard: Vec<_> = (0..HEARD_BEYOND_LIMIT).map(|_| places.take(None).unwrap()).collect();
        assert!(heard.into_iter().next().unwrap().refused().is_some());
        let _all: Vec<_> = (0..HEARD_BEYOND_LIMIT).map(|_| places.take(None).unwrap()).collect();
        assert!(places.take(None).is_none());
        drop(first);
        assert!(places.take(None).unwrap().refused().is_none(), "the place was given back");
    }

    #[test]
    fn one_peer_cannot_take_all_places() {
        let places = places(10, Some(1));
        let one = Some(IpAddr::from([127, 0, 0, 1]));
        let other = Some(IpAddr::from([127, 0, 0, 2]));
        let mut first = places.take(one).unwrap();
        assert!(first.refused().is_none());
        assert!(places.take(one).unwrap().refused().is_some());
        assert!(places.take(other).unwrap().refused().is_none());
        drop(first);
        assert!(places.take(one).unwrap().refused().is_none());
        assert!(places.peers.lock().unwrap().is_empty(), "nothing stays behind");
    }
}

//! Connections that have not said yet what they want. When there are too many the oldest ones go, which is no harm to
//! who speaks at once: so nobody is kept out by connections that say nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::Peer;

/// Who waits to be heard by a listener.
#[derive(Clone, Default)]
pub struct Waiting {
    room: Arc<Mutex<Room>>,
}

#[derive(Default)]
struct Room {
    next: u64,
    /// By the order of their arrival.
    callers: BTreeMap<u64, Caller>,
}

struct Caller {
    peer: Peer,
    dismissed: CancellationToken,
}

/// A connection's place among those that wait, given back when dropped.
pub struct Turn {
    waiting: Waiting,
    number: u64,
    dismissed: CancellationToken,
}

impl Waiting {
    /// Lets a connection wait. Where `most` do so already, one of them is dismissed, who is returned: the oldest one of
    /// the address that has the most.
    #[must_use = "the turn ends when it is dropped"]
    pub fn enter(&self, peer: Peer, most: usize) -> (Turn, Option<Peer>) {
        let mut room = self.room();
        let dismissed = if room.callers.len() >= most { room.dismiss() } else { None };
        let number = room.next;
        room.next += 1;
        let token = CancellationToken::new();
        room.callers.insert(number, Caller { peer, dismissed: token.clone() });
        (Turn { waiting: self.clone(), number, dismissed: token }, dismissed)
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn dismiss(&mut self) -> Option<Peer> {
        let crowd = self.crowd();
        let (&number, _) = self.callers.iter().find(|(_, caller)| caller.peer.place() == crowd)?;
        let caller = self.callers.remove(&number)?;
        caller.dismissed.cancel();
        Some(caller.peer)
    }

    /// The address that has the most; none for all that come by Unix sockets.
    fn crowd(&self) -> Option<IpAddr> {
        let mut counts = HashMap::new();
        for caller in self.callers.values() {
            *counts.entry(caller.peer.place()).or_insert(0_usize) += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).and_then(|(place, _)| place)
    }
}

impl Turn {
    /// Returns when this connection has to make room for newer ones.
    pub async fn dismissed(&self) {
        self.dismissed.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.waiting.room().callers.remove(&self.number);
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
        let waiting = Waiting::default();
        let (first, none) = waiting.enter(peer(1, 1), 2);
        assert_eq!(none, None);
        let (second, none) = waiting.enter(peer(1, 2), 2);
        assert_eq!(none, None);
        let (third, dismissed) = waiting.enter(peer(1, 3), 2);
        assert_eq!(dismissed, Some(peer(1, 1)));
        assert!(first.dismissed.is_cancelled() && !second.dismissed.is_cancelled());
        drop(second);
        let (_fourth, none) = waiting.enter(peer(1, 4), 2);
        assert_eq!(none, None, "a place that was given back is free");
        drop((first, third));
        assert_eq!(waiting.room().callers.len(), 1, "nothing stays behind");
    }

    #[test]
    fn one_address_cannot_push_the_others_out() {
        let waiting = Waiting::default();
        let (patient, _) = waiting.enter(peer(1, 1), 10);
        let flood: Vec<_> = (0..100).map(|port| waiting.enter(peer(2, port), 10)).collect();
        assert!(!patient.dismissed.is_cancelled());
        assert_eq!(flood.iter().filter(|(_, dismissed)| dismissed.is_some()).count(), 91);
        assert!(
            flood
                .iter()
                .filter_map(|(_, dismissed)| *dismissed)
                .all(|gone| gone.place() == peer(2, 0).place())
        );
    }
}

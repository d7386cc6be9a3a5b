//! The order of logins: which one begins next, and which one makes room.
//!
//! - Of the peers that wait for a target, the one with the fewest logins under way there comes first; of one peer, logins that
//!   have their password, then the newest. So an attacker with one address keeps its own connections waiting, and a login that
//!   arrives passes them, even from the same address. In a usual rush the order does not matter: a login takes milliseconds.
//! - At a full target the oldest login that waits for its application's password makes room, of the peer with the most logins
//!   there. For a peer at its limit it is the oldest of that peer. Each has [`super::entry::GRACE`] first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Entry, Stage};
use super::usage::Usage;
use crate::session::{Failure, Limits, Reason, TooManyLogins};

/// All logins that have not ended, in the order of their arrival.
pub(super) struct Queue {
    per_target: usize,
    per_peer: usize,
    next: u64,
    logins: BTreeMap<u64, Entry>,
}

impl Queue {
    pub(super) fn new(limits: &Limits) -> Self {
        let (per_target, per_peer) = (limits.max_logins_per_target, limits.max_logins_per_peer);
        Self { per_target, per_peer, next: 0, logins: BTreeMap::new() }
    }

    pub(super) fn set_limits(&mut self, limits: &Limits, now: Instant) {
        (self.per_target, self.per_peer) = (limits.max_logins_per_target, limits.max_logins_per_peer);
        self.admit(now);
    }

    /// Adds a login that waits. Returns its number, and its stage: it may begin at once where there is room.
    pub(super) fn arrive(&mut self, mut entry: Entry, now: Instant) -> (u64, Stage) {
        let number = self.next;
        self.next += 1;
        if self.full(&entry).is_none() {
            entry.stage = Stage::UnderWay;
        }
        let waits = entry.stage == Stage::Waiting;
        self.logins.insert(number, entry);
        if waits {
            self.admit(now);
        }
        (number, self.stage(number))
    }

    /// The stage of a login.
    pub(super) fn stage(&self, number: u64) -> Stage {
        self.logins.get(&number).map_or(Stage::Dropped, |entry| entry.stage)
    }

    /// Changes the stage of a login that is under way, and returns the stage that it has: one that was dropped stays so.
    pub(super) fn set(&mut self, number: u64, stage: Stage, now: Instant) -> Stage {
        if let Some(entry) = self.logins.get_mut(&number).filter(|entry| entry.stage != Stage::Dropped) {
            entry.stage = stage;
        }
        self.admit(now);
        self.stage(number)
    }

    /// Removes a login.
    pub(super) fn leave(&mut self, number: u64, now: Instant) {
        self.logins.remove(&number);
        self.admit(now);
    }

    /// Begins the logins that there is room for, or that others can make room for.
    pub(super) fn admit(&mut self, now: Instant) {
        if !self.logins.values().any(|entry| entry.stage == Stage::Waiting) {
            return;
        }
        while let Some((number, dropped)) = self.next(now) {
            for number in dropped {
                self.logins.get_mut(&number).into_iter().for_each(Entry::make_room);
            }
            self.logins.get_mut(&number).into_iter().for_each(Entry::begin);
        }
    }

    /// Drops a login that waits, for its turn or for its application, so that a connection of this peer gets its slot. It is one
    /// of the peer with the most logins, but of none that has fewer than this peer; the oldest that brings no password, else the
    /// oldest. Returns whether there was one.
    pub(super) fn drop_one(&mut self, newcomer: Option<IpAddr>, now: Instant) -> bool {
        let waits = |entry: &Entry| entry.stage == Stage::Waiting || entry.droppable(now).is_some();
        let mut logins = HashMap::new();
        for entry in self.logins.values().filter(|entry| entry.stage != Stage::Dropped) {
            let (all, waiting) = logins.entry(entry.peer).or_insert((0_usize, false));
            *all += 1;
            *waiting |= waits(entry);
        }
        let own = logins.get(&newcomer).map_or(0, |(all, _)| *all);
        let busiest = logins.into_iter().filter(|(_, (all, waiting))| *waiting && *all >= own);
        let Some((peer, _)) = busiest.max_by_key(|(_, (all, _))| *all) else { return false };
        let of_peer = self.logins.values_mut().filter(|entry| entry.peer == peer && waits(entry));
        let victim = of_peer.min_by_key(|entry| (entry.has_password, entry.stage != Stage::Waiting));
        victim.map(Entry::make_room).is_some()
    }

    /// Why a login could not begin in this time.
    pub(super) fn out_of_time(&self, number: u64, waited: Duration) -> Failure {
        let full = self.logins.get(&number).and_then(|entry| self.full(entry));
        let (reason, limit) = full.unwrap_or((Reason::MaxLoginsPerTarget, self.per_target));
        Failure::TooManyLogins(TooManyLogins { reason, limit, waited })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.logins.len()
    }

    /// The limit that keeps this login from beginning.
    fn full(&self, login: &Entry) -> Option<(Reason, usize)> {
        let (mut at_target, mut of_peer) = (0, 0);
        for entry in self.logins.values() {
            at_target += usize::from(entry.holds_target() && entry.target == login.target);
            of_peer += usize::from(entry.holds_peer() && entry.peer == login.peer);
        }
        if at_target >= self.per_target {
            Some((Reason::MaxLoginsPerTarget, self.per_target))
        } else if of_peer >= self.per_peer {
            Some((Reason::MaxLoginsPerPeer, self.per_peer))
        } else {
            None
        }
    }

    /// The login that begins next, and those that make room for it.
    fn next(&self, now: Instant) -> Option<(u64, Vec<u64>)> {
        let usage = Usage::of(self.logins.values());
        let mut waiting: Vec<_> =
            self.logins.iter().filter(|(_, entry)| entry.stage == Stage::Waiting).collect();
        waiting.sort_by_key(|(number, entry)| (usage.share(entry), !entry.has_password, Reverse(**number)));
        let droppable = self.logins.iter().filter_map(|(number, entry)| {
            entry.droppable(now).map(|since| Droppable { number: *number, entry, since })
        });
        let droppable: Vec<_> = droppable.collect();
        // Where the first of a peer at a target finds no room, the next one finds none either.
        let mut tried = HashSet::new();
        waiting
            .into_iter()
            .filter(|(_, entry)| tried.insert((entry.peer, &entry.target)))
            .find_map(|(number, entry)| Some((*number, self.room(entry, &usage, &droppable)?)))
    }

    /// The logins that have to make room for this one; empty if there is room.
    fn room(&self, login: &Entry, usage: &Usage<'_>, droppable: &[Droppable<'_>]) -> Option<Vec<u64>> {
        let mut dropped = Vec::new();
        let mut at_target = usage.at_target(login);
        if usage.of_peer(login) >= self.per_peer {
            let of_peer = droppable.iter().filter(|other| other.entry.peer == login.peer);
            let there = |other: &Droppable<'_>| other.entry.target == login.target;
            let other = of_peer.max_by_key(|other| (there(other), Reverse(other.since)))?;
            at_target -= usize::from(there(other));
            dropped.push(other.number);
        }
        if at_target >= self.per_target {
            let there = droppable.iter().filter(|other| other.entry.target == login.target);
            let other = there.max_by_key(|other| (usage.share(other.entry), Reverse(other.since)))?;
            dropped.push(other.number);
        }
        Some(dropped)
    }
}

/// A login that may have to make room.
struct Droppable<'a> {
    number: u64,
    entry: &'a Entry,
    since: Instant,
}

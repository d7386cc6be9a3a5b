//! The sessions that are open now, whichever listener accepted them, and the order to end one of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::metrics;
use super::splice::Activity;
use crate::net::Peer;

/// The table of the open sessions. Clones share it. A session locks it when it begins and when it ends, never for its bytes.
#[derive(Clone, Default)]
pub struct LiveSessions {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    open: BTreeMap<u64, Arc<Entry>>,
    /// What the sessions that have ended had moved.
    ended: (u64, u64),
}

/// The sessions of a process, and what they have moved so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// The open sessions.
    pub sessions: usize,
    /// Bytes from applications to databases, of ended sessions too.
    pub sent: u64,
    /// Bytes from databases to applications.
    pub received: u64,
}

/// A session, as it was when the table was read. Names only, never a secret.
#[derive(Clone)]
pub struct SessionState {
    /// The connection's id, as in each of its log lines.
    pub id: u64,
    /// When it became ready for queries.
    pub since: SystemTime,
    /// The other side of the application's connection.
    pub peer: Peer,
    /// Its names.
    pub names: SessionNames,
    /// Bytes from the application to the database since then.
    pub sent: u64,
    /// Bytes from the database to the application.
    pub received: u64,
    /// The time since the last byte in either direction.
    pub idle: Duration,
}

/// The names of a session, as its log lines have them.
#[derive(Clone)]
pub struct SessionNames {
    /// The target.
    pub target: Box<str>,
    /// The database user.
    pub user: Box<str>,
    /// The database.
    pub database: Box<str>,
    /// The AWS identity that the database verified; else empty.
    pub identity: Box<str>,
    /// The AWS identity that no database verified; else empty.
    pub identity_claimed: Box<str>,
}

/// The order of an administrator to end a session.
pub struct EndOrder {
    /// The reason, which the application reads; may be empty.
    pub reason: String,
    /// The user id of the administrator's process.
    pub uid: u32,
}

struct Entry {
    since: SystemTime,
    peer: Peer,
    names: SessionNames,
    activity: Arc<Activity>,
    counted: Counted,
    order: OnceLock<EndOrder>,
    ordered: Notify,
}

/// The bytes of a session that the metrics have.
#[derive(Default)]
struct Counted {
    sent: AtomicU64,
    received: AtomicU64,
}

/// A session's entry in the table, removed when dropped.
pub(super) struct LiveSession {
    sessions: LiveSessions,
    id: u64,
    entry: Arc<Entry>,
}

impl LiveSessions {
    /// The open sessions, in the order in which their connections were accepted.
    #[must_use]
    pub fn list(&self) -> Vec<SessionState> {
        self.entries().into_iter().map(|(id, entry)| entry.state(id)).collect()
    }

    /// The number of open sessions, and what all sessions have moved so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let table = self.table.lock();
        let mut traffic =
            Traffic { sessions: table.open.len(), sent: table.ended.0, received: table.ended.1 };
        for entry in table.open.values() {
            traffic.sent += entry.activity.sent();
            traffic.received += entry.activity.received();
        }
        traffic
    }

    /// Sets the gauge of the oldest session, and counts the bytes that all have moved since the last call.
    pub(super) fn measure(&self) {
        let entries = self.entries();
        metrics::oldest_session(entries.iter().map(|(_, entry)| entry.activity.age()).max());
        let mut moved: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (_, entry) in &entries {
            let (sent, received) = entry.uncounted(entry.activity.sent(), entry.activity.received());
            let of_target = moved.entry(&entry.names.target).or_default();
            *of_target = (of_target.0 + sent, of_target.1 + received);
        }
        for (target, (sent, received)) in moved {
            metrics::moved(target, sent, received);
        }
    }

    /// Copied out of the lock, so that sessions begin and end meanwhile.
    fn entries(&self) -> Vec<(u64, Arc<Entry>)> {
        self.table.lock().open.iter().map(|(id, entry)| (*id, Arc::clone(entry))).collect()
    }

    /// Orders a session to end, and returns it as it is now. `None` if there is no such session. Of two orders the first
    /// counts.
    #[must_use]
    pub fn end(&self, id: u64, order: EndOrder) -> Option<SessionState> {
        let entry = self.table.lock().open.get(&id).cloned()?;
        let _first = entry.order.set(order);
        entry.ordered.notify_one();
        Some(entry.state(id))
    }

    /// Adds a session that begins now.
    pub(super) fn add(
        &self,
        id: u64,
        peer: Peer,
        names: SessionNames,
        activity: Arc<Activity>,
    ) -> LiveSession {
        let (since, order, ordered) = (SystemTime::now(), OnceLock::new(), Notify::new());
        let counted = Counted::default();
        let entry = Arc::new(Entry { since, peer, names, activity, counted, order, ordered });
        self.table.lock().open.insert(id, Arc::clone(&entry));
        LiveSession { sessions: self.clone(), id, entry }
    }
}

impl Entry {
    /// How much of these totals is not counted yet, of the bytes sent and of those received. Counts them. Where two callers
    /// count at the same time, no byte counts twice.
    fn uncounted(&self, sent: u64, received: u64) -> (u64, u64) {
        let uncounted = |counted: &AtomicU64, total: u64| {
            total.saturating_sub(counted.fetch_max(total, Ordering::Relaxed))
        };
        (uncounted(&self.counted.sent, sent), uncounted(&self.counted.received, received))
    }

    fn state(&self, id: u64) -> SessionState {
        SessionState {
            id,
            since: self.since,
            peer: self.peer,
            names: self.names.clone(),
            sent: self.activity.sent(),
            received: self.activity.received(),
            idle: self.activity.idle(),
        }
    }
}

impl LiveSession {
    /// Counts what is not counted yet of the bytes of the whole session.
    pub(super) fn settle(&self, sent: u64, received: u64) {
        let (sent, received) = self.entry.uncounted(sent, received);
        metrics::moved(&self.entry.names.target, sent, received);
    }

    /// Resolves when an administrator orders the session to end.
    pub(super) async fn ordered(&self) -> &EndOrder {
        loop {
            self.entry.ordered.notified().await;
            if let Some(order) = self.entry.order.get() {
                return order;
            }
        }
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        let mut table = self.sessions.table.lock();
        table.open.remove(&self.id);
        let moved = |total: u64, counted: &AtomicU64| total.max(counted.load(Ordering::Relaxed));
        let (activity, counted) = (&self.entry.activity, &self.entry.counted);
        table.ended.0 += moved(activity.sent(), &counted.sent);
        table.ended.1 += moved(activity.received(), &counted.received);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    fn add(sessions: &LiveSessions, id: u64) -> LiveSession {
        let name = |text: &str| Box::from(text);
        let names = SessionNames {
            target: name("db-1"),
            user: name("alice"),
            database: name("app"),
            identity: name(""),
            identity_claimed: name(""),
        };
        sessions.add(id, Peer::Unix, names, Arc::new(Activity::new(Instant::now())))
    }

    fn ids(sessions: &LiveSessions) -> Vec<u64> {
        sessions.list().iter().map(|session| session.id).collect()
    }

    #[tokio::test]
    async fn a_session_is_in_the_table_until_it_is_dropped() {
        let sessions = LiveSessions::default();
        let (second, first) = (add(&sessions, 2), add(&sessions, 1));
        assert_eq!(ids(&sessions.clone()), [1, 2]);
        drop(first);
        assert_eq!(ids(&sessions), [2]);
        drop(second);
        assert!(sessions.list().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_reaches_its_session_only_and_before_it_waits() {
        let sessions = LiveSessions::default();
        let (first, second) = (add(&sessions, 1), add(&sessions, 2));
        let order = |reason: &str| EndOrder { reason: reason.into(), uid: 0 };
        assert!(sessions.end(3, order("none")).is_none());
        assert_eq!(sessions.end(1, order("one")).unwrap().id, 1);
        assert!(sessions.end(1, order("two")).is_some(), "a second order changes nothing");
        assert_eq!(first.ordered().await.reason, "one");
        assert!(timeout(Duration::from_hours(1), second.ordered()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_counts_from_the_last_byte() {
        let began = Instant::now();
        let activity = Activity::new(began);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(activity.idle().as_secs(), 5);
        activity.note(7, 9, Instant::now());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!((activity.sent(), activity.received(), activity.idle().as_secs()), (7, 9, 3));
    }

    #[tokio::test]
    async fn each_byte_counts_once() {
        let sessions = LiveSessions::default();
        let live = add(&sessions, 1);
        assert_eq!(live.entry.uncounted(7, 9), (7, 9));
        assert_eq!(live.entry.uncounted(10, 9), (3, 0));
        assert_eq!(
            live.entry.uncounted(7, 9),
            (0, 0),
            "an older total, read before the end and counted after it"
        );
    }

    #[tokio::test]
    async fn the_bytes_of_sessions_that_have_ended_still_count() {
        let sessions = LiveSessions::default();
        let (first, second) = (add(&sessions, 1), add(&sessions, 2));
        first.entry.activity.note(5, 6, Instant::now());
        second.entry.activity.note(10, 20, Instant::now());
        assert_eq!(sessions.traffic(), Traffic { sessions: 2, sent: 15, received: 26 });
        first.settle(7, 9);
        drop(first);
        assert_eq!(sessions.traffic(), Traffic { sessions: 1, sent: 17, received: 29 });
        drop(second);
        assert_eq!(sessions.traffic(), Traffic { sessions: 0, sent: 17, received: 29 });
    }

    /// An idle session takes about 20 KB (docs/development.md), and its entry little of it.
    #[test]
    fn an_entry_is_small() {
        let bytes = size_of::<Entry>() + size_of::<Activity>() + size_of::<LiveSession>();
        assert!(bytes <= 400, "{bytes}");
    }
}

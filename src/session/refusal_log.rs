//! The log lines of refused connections. The first one of a kind is written at once. Those that follow are counted, and
//! share one line every 10 seconds: an application that retries in a loop, or a peer that guesses, must not fill the log.
//! Metrics count every refusal.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};
use tracing::{Span, debug, info, warn};

use super::guesses::Guesses;
use crate::net::Peer;

/// The time between two lines of one kind.
const INTERVAL: Duration = Duration::from_secs(10);

/// How many kinds are told apart at a time; further ones of the same reason share a line.
const MAX_KINDS: usize = 256;

/// The most characters of an error that are kept for a later line.
const MAX_ERROR: usize = 1024;

/// The module of all audit lines, for filters: the begin and the end of sessions, and refusals.
pub(crate) const AUDIT_MODULE: &str = concat!(env!("CARGO_CRATE_NAME"), "::session::audit");

/// What the log knows about a refused connection.
#[derive(Clone)]
pub(super) struct RefusedConnection {
    pub(super) peer: Peer,
    pub(super) target: String,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) application_name: String,
    pub(super) client_version: String,
    pub(super) client_subject: String,
    pub(super) identity_claimed: String,
    pub(super) fault: &'static str,
    pub(super) reason: &'static str,
    /// What the application read; empty where it read nothing.
    pub(super) sqlstate: String,
    pub(super) duration_ms: u64,
    pub(super) error: String,
    /// The operator of the proxy has nothing to fix.
    pub(super) expected: bool,
    /// The span of the connection, with its id.
    pub(super) span: Span,
}

/// Writes the lines. Clones share the counts.
#[derive(Clone, Default)]
pub(super) struct RefusalLog {
    kinds: Arc<Mutex<Kinds>>,
    pub(super) guesses: Guesses,
}

#[derive(Default)]
struct Kinds {
    windows: HashMap<Kind, Window>,
    /// Whether the task that writes the later lines runs.
    reporting: bool,
}

/// Refusals that share a line.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    network: Option<IpAddr>,
    target: String,
    fault: &'static str,
    reason: &'static str,
}

/// The time after a line of a kind.
struct Window {
    ends: Instant,
    /// Refusals since that line, and the last of them.
    repeated: u64,
    last: Option<RefusedConnection>,
}

impl RefusalLog {
    /// Writes the line of this refusal, or counts it for a later one.
    pub(super) fn add(&self, refused: RefusedConnection) {
        let RefusedConnection { peer, reason, target, user, .. } = &refused;
        self.guesses.note(peer.network(), reason, target, user);
        let mut kinds = self.kinds.lock();
        let at_once = kinds.add(refused, Instant::now());
        let start = !std::mem::replace(&mut kinds.reporting, true);
        drop(kinds);
        if start {
            tokio::spawn(self.clone().report());
        }
        if let Some(refused) = at_once {
            refused.write(None);
        }
    }

    /// Writes the lines of all refusals that were only counted.
    pub(super) fn flush(&self) {
        let windows = std::mem::take(&mut self.kinds.lock().windows);
        windows.into_values().filter_map(Window::into_line).for_each(Line::write);
    }

    /// Writes a line for each window that ends, until there is none.
    async fn report(self) {
        while let Some(next) = self.next_end() {
            sleep_until(next).await;
            let lines = self.kinds.lock().ended(Instant::now());
            lines.into_iter().for_each(Line::write);
        }
    }

    fn next_end(&self) -> Option<Instant> {
        let mut kinds = self.kinds.lock();
        let next = kinds.windows.values().map(|window| window.ends).min();
        kinds.reporting = next.is_some();
        next
    }
}

/// A refusal, and how many of its kind it stands for.
struct Line(RefusedConnection, u64);

impl Line {
    fn write(self) {
        self.0.write(Some(self.1));
    }
}

impl Kinds {
    /// Counts a refusal; returns it where its line is due now.
    fn add(&mut self, mut refused: RefusedConnection, now: Instant) -> Option<RefusedConnection> {
        let kind = self.kind(&refused);
        let Some(window) = self.windows.get_mut(&kind) else {
            self.windows.insert(kind, Window { ends: now + INTERVAL, repeated: 0, last: None });
            return Some(refused);
        };
        refused.note();
        refused.shorten();
        window.repeated += 1;
        window.last = Some(refused);
        None
    }

    fn kind(&self, refused: &RefusedConnection) -> Kind {
        let RefusedConnection { fault, reason, .. } = *refused;
        let kind = Kind { network: refused.peer.network(), target: refused.target.clone(), fault, reason };
        if self.windows.len() < MAX_KINDS || self.windows.contains_key(&kind) {
            return kind;
        }
        Kind { network: None, target: String::new(), fault, reason }
    }

    /// The lines of the windows that have ended. A window without a refusal is removed, another begins again.
    fn ended(&mut self, now: Instant) -> Vec<Line> {
        let mut lines = Vec::new();
        self.windows.retain(|_, window| {
            if window.ends > now {
                return true;
            }
            let next = Window { ends: now + INTERVAL, repeated: 0, last: None };
            let line = std::mem::replace(window, next).into_line();
            let any = line.is_some();
            lines.extend(line);
            any
        });
        lines
    }
}

impl Window {
    fn into_line(self) -> Option<Line> {
        self.last.map(|refused| Line(refused, self.repeated))
    }
}

impl RefusedConnection {
    fn write(&self, repeated: Option<u64>) {
        let _connection = self.span.enter();
        let Self { peer, target, user, database, application_name, client_version, .. } = self;
        let Self {
            client_subject,
            identity_claimed,
            fault,
            reason,
            sqlstate,
            duration_ms,
            error,
            expected,
            ..
        } = self;
        if *expected {
            info!(
                target: AUDIT_MODULE,
                %peer, target, user, database, application_name, client_version, client_subject, identity_claimed,
                fault, reason, sqlstate, duration_ms, error, repeated,
                "connection refused"
            );
        } else {
            warn!(
                target: AUDIT_MODULE,
                %peer, target, user, database, application_name, client_version, client_subject, identity_claimed,
                fault, reason, sqlstate, duration_ms, error, repeated,
                "connection failed"
            );
        }
    }

    fn note(&self) {
        let Self { peer, target, user, error, .. } = self;
        debug!(target: AUDIT_MODULE, %peer, target, user, error, "refused again");
    }

    fn shorten(&mut self) {
        if let Some((end, _)) = self.error.char_indices().nth(MAX_ERROR) {
            self.error.truncate(end);
            self.error.push('…');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(last_byte: u8, target: &str, reason: &'static str) -> RefusedConnection {
        RefusedConnection {
            peer: Peer::Tcp(([192, 0, 2, last_byte], 1).into()),
            target: target.into(),
            user: String::new(),
            database: String::new(),
            application_name: String::new(),
            client_version: String::new(),
            client_subject: String::new(),
            identity_claimed: String::new(),
            fault: "database",
            reason,
            sqlstate: String::new(),
            duration_ms: 1,
            error: "x".repeat(60_000),
            expected: true,
            span: Span::none(),
        }
    }

    #[test]
    fn a_kind_has_one_line_at_once_and_then_one_every_ten_seconds() {
        let (mut kinds, start) = (Kinds::default(), Instant::now());
        let one = || refused(1, "db-1", "login_refused");
        assert!(kinds.add(one(), start).is_some());
        for _ in 0..1000 {
            assert!(kinds.add(one(), start).is_none());
        }
        assert!(kinds.ended(start + INTERVAL / 2).is_empty());
        for other in [
            refused(2, "db-1", "login_refused"),
            refused(1, "db-2", "login_refused"),
            refused(1, "db-1", "timeout"),
        ] {
            assert!(kinds.add(other, start).is_some(), "another peer, target or reason has its line");
        }
        let lines = kinds.ended(start + INTERVAL);
        assert_eq!(lines.iter().map(|line| line.1).collect::<Vec<_>>(), [1000]);
        assert!(lines[0].0.error.len() < 1100, "a kept error is short");
        assert_eq!(kinds.windows.len(), 1, "kinds without a further refusal are forgotten");
        assert!(kinds.add(one(), start + INTERVAL).is_none(), "the next line comes ten seconds later");
        assert_eq!(kinds.ended(start + 2 * INTERVAL).len(), 1);
        assert!(kinds.ended(start + 3 * INTERVAL).is_empty());
        assert!(kinds.windows.is_empty());
    }

    #[test]
    fn many_kinds_share_a_line_of_each_reason() {
        let (mut kinds, now) = (Kinds::default(), Instant::now());
        let targets: Vec<_> = (0..10_000).map(|number| format!("db-{number}")).collect();
        let written =
            targets.iter().filter(|target| kinds.add(refused(1, target, "timeout"), now).is_some()).count();
        assert_eq!(written, MAX_KINDS + 1);
        assert_eq!(kinds.windows.len(), MAX_KINDS + 1);
        assert!(kinds.add(refused(1, "db-0", "timeout"), now).is_none(), "a known kind keeps its count");
        assert!(
            kinds.add(refused(1, "db-9999", "login_refused"), now).is_some(),
            "another reason has its line"
        );
        let counted: u64 = kinds.ended(now + INTERVAL).iter().map(|line| line.1).sum();
        assert_eq!(counted, 10_000 - 257 + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_ends_with_the_last_window_and_starts_again() {
        let log = RefusalLog::default();
        for _ in 0..2 {
            log.add(refused(1, "db-1", "timeout"));
            log.add(refused(1, "db-1", "timeout"));
            assert!(log.kinds.lock().reporting);
            tokio::time::sleep(3 * INTERVAL).await;
            assert!(!log.kinds.lock().reporting && log.kinds.lock().windows.is_empty());
        }
        log.add(refused(1, "db-1", "timeout"));
        log.flush();
        assert!(log.kinds.lock().windows.is_empty());
    }
}

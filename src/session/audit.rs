//! The log lines about a connection: when its session begins, when it ends, or why it failed.

use std::sync::Arc;
use std::time::Instant;

use tracing::{Span, debug, info};

use super::client_version::received_version;
use super::last_error::last_error;
use super::live::{EndOrder, LiveSession, LiveSessions, SessionNames};
use super::logged_text::{database, short};
use super::metrics::{self, Connection, Steps};
use super::refusal_log::{RefusalLog, RefusedConnection};
use super::splice::{Activity, End, Splice};
use super::{Action, Failure, Fault, Opening, Request, Route};
use crate::net::{Framed, Peer};
use crate::tls::TlsError;

/// What is known about a connection so far. Names only, never a secret.
pub(super) struct Record {
    peer: Peer,
    began: Instant,
    target: String,
    user: String,
    database: String,
    application_name: String,
    /// Of a client that this process requested it from; else empty.
    client_version: String,
    /// The subject of the application's verified client certificate; else empty.
    client_subject: String,
    /// The signer of the IAM token, verified by the database.
    identity: String,
    /// The signer that the token names, not verified.
    identity_claimed: String,
    app_tls: &'static str,
    hop_tls: &'static str,
    steps: Steps,
    /// When the login began at its target, after the wait for its turn.
    login_began: Instant,
    _open: Connection,
}

impl Record {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            began: Instant::now(),
            target: String::new(),
            user: String::new(),
            database: String::new(),
            application_name: String::new(),
            client_version: String::new(),
            client_subject: String::new(),
            identity: String::new(),
            identity_claimed: String::new(),
            app_tls: "off",
            hop_tls: "off",
            steps: Steps::new(),
            login_began: Instant::now(),
            _open: Connection::open(),
        }
    }

    /// A load balancer forwards the connection for this peer.
    pub(super) fn forwarded_for(&mut self, peer: Peer) {
        self.peer = peer;
    }

    /// `target`: the name of the target, if it is known before the role decides.
    pub(super) fn negotiated(&mut self, app: &Framed, request: &Request, target: Option<String>) {
        self.target = target.unwrap_or_default();
        self.steps.done("negotiate");
        self.app_tls = app.stream().tls_version().unwrap_or("off");
        self.client_subject =
            request.door.client.as_ref().map(|client| short(client.subject.clone())).unwrap_or_default();
        if let Opening::Startup(startup) = &request.opening {
            self.user = short(startup.text("user").unwrap_or_default());
            self.database = database(startup);
            self.application_name = short(startup.text("application_name").unwrap_or_default());
            self.client_version = received_version(startup, app.stream()).unwrap_or_default();
        }
    }

    pub(super) fn authorized(&mut self, route: &Route) {
        self.steps.done("authorize");
        self.login_began = Instant::now();
        self.target.clone_from(&route.target);
        if let Action::Session(login) = &route.action {
            // At a shared door the application's `database` names the target too.
            self.database = database(&login.startup);
            if let Some(signer) = &login.signer {
                signer.name().clone_into(&mut self.identity_claimed);
            }
        }
    }

    /// The login waited for its turn.
    pub(super) fn waited(&mut self) {
        self.steps.done("wait");
        self.login_began = Instant::now();
    }

    pub(super) fn connected(&mut self, hop: &Framed) {
        self.steps.done("connect");
        self.hop_tls = hop.stream().tls_version().unwrap_or("off");
    }

    /// `iam_verified`: the database has verified the IAM token, and so the identity.
    pub(super) fn ready(&mut self, iam_verified: bool) {
        if iam_verified {
            self.identity = std::mem::take(&mut self.identity_claimed);
        }
        self.steps.done("authenticate");
        metrics::handshake(self.began.elapsed());
        metrics::logged_in(&self.target, self.login_began.elapsed());
        metrics::session_began(&self.target);
        let Self {
            peer,
            target,
            user,
            database,
            application_name,
            client_version,
            client_subject,
            identity,
            identity_claimed,
            app_tls,
            hop_tls,
            ..
        } = self;
        info!(
            %peer, target, user, database, application_name, client_version, client_subject, identity,
            identity_claimed, app_tls, hop_tls, handshake_ms = millis(self.began), "session began"
        );
    }

    /// Counts the session by the version of its client.
    pub(super) fn count_client(&self) {
        metrics::client_session(&self.client_version);
    }

    /// Adds the session to the table of open ones.
    pub(super) fn add_to(&self, sessions: &LiveSessions, id: u64, activity: Arc<Activity>) -> LiveSession {
        let names = SessionNames {
            target: self.target.as_str().into(),
            user: self.user.as_str().into(),
            database: self.database.as_str().into(),
            identity: self.identity.as_str().into(),
            identity_claimed: self.identity_claimed.as_str().into(),
        };
        sessions.add(id, self.peer, names, activity)
    }

    pub(super) fn ended(&self, splice: &Splice, end: &End) {
        let Self {
            peer,
            target,
            user,
            database,
            application_name,
            client_version,
            client_subject,
            identity,
            identity_claimed,
            app_tls,
            hop_tls,
            ..
        } = self;
        let (ended_by, outcome) = ended_by(end);
        metrics::session_ended(target, ended_by, outcome);
        let (sqlstate, error) = last_error(splice, end);
        info!(
            %peer, target, user, database, application_name, client_version, client_subject, identity,
            identity_claimed, app_tls, hop_tls, sent = splice.sent(), received = splice.received(), duration_ms = millis(self.began),
            ended_by, outcome, sqlstate, error, "session ended"
        );
    }

    /// An administrator ended the session.
    pub(super) fn ordered(&self, EndOrder { reason, uid }: &EndOrder) -> End {
        let Self { peer, target, user, .. } = self;
        info!(%peer, target, user, uid, reason, "an administrator ends the session");
        End::Administrator(reason.clone())
    }

    pub(super) fn cancelled(&self) {
        metrics::cancelled(&self.target);
        info!(peer = %self.peer, target = self.target, duration_ms = millis(self.began), "cancel request delivered");
    }

    pub(super) fn failed(&self, failure: &Failure, log: &RefusalLog) {
        let (fault, reason) = (failure.fault(), failure.reason());
        let (peer, duration_ms) = (self.peer, millis(self.began));
        metrics::refused(fault, reason, &self.target);
        // Port scanners hang up without sending anything, some health checks after an SSLRequest.
        let hung_up =
            matches!(failure, Failure::ApplicationGone(_) | Failure::ApplicationTls(TlsError::HungUp(_)));
        if hung_up && self.user.is_empty() {
            debug!(%peer, duration_ms, "hung up without a startup packet");
        } else if matches!(failure, Failure::PendingDropped) {
            // The engine logs how many there are.
            debug!(%peer, duration_ms, "dropped before the startup packet");
        } else {
            log.add(RefusedConnection {
                peer,
                target: self.target.clone(),
                user: self.user.clone(),
                database: self.database.clone(),
                application_name: self.application_name.clone(),
                client_version: self.client_version.clone(),
                client_subject: self.client_subject.clone(),
                identity_claimed: self.identity_claimed.clone(),
                fault: fault.name(),
                reason: reason.name(),
                sqlstate: failure.sqlstate_read(),
                duration_ms,
                error: failure.to_string(),
                expected: is_expected(failure),
                span: Span::current(),
            });
        }
    }
}

/// Whether the operator of the proxy has nothing to fix: the application or the database is at fault, or the proxy stops.
fn is_expected(failure: &Failure) -> bool {
    matches!(failure.fault(), Fault::Application | Fault::Database)
        || matches!(failure, Failure::ShuttingDown)
}

/// The side that ended a session, and how.
fn ended_by(end: &End) -> (&'static str, &'static str) {
    match end {
        End::Closed(side) => (side.name(), "closed"),
        End::Broken(side, _) => (side.name(), "broken"),
        // The side that closed: the other one was busy, or never noticed.
        End::Lingered(side) => (side.name(), "vanished"),
        End::Idle(_) => ("proxy", "idle_timeout"),
        End::Shutdown => ("proxy", "shutdown"),
        End::Administrator(_) => ("proxy", "administrator"),
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

//! What all connections of one mode share, whichever listener accepted them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::cancel_keys::{CancelKeys, KeptKey};
use super::dropped_log::DroppedLog;
use super::gauges::Gauges;
use super::live::LiveSessions;
use super::logins::Logins;
use super::negotiate::Negotiated;
use super::refusal_log::RefusalLog;
use super::slots::{Slot, Slots};
use super::{Door, DoorError, Failure, Limits, Opening, Request, Role, metrics};
use crate::net::{Framed, Networks, Peer, PeerUid, PeerUser, Pending, PendingPermit, Socket};
use crate::tls::Acceptor;
use crate::wire::CancelRequest;

/// How often a connection tries to get a slot.
const TRIES: u32 = 4;

/// The policy of a mode, its limits, and what counts against them. Any number of listeners may feed one engine
/// ([`super::serve`]).
pub struct Engine<R> {
    pub(super) role: R,
    /// TLS towards applications; absent where it is off.
    acceptor: RwLock<Option<Acceptor>>,
    pub(super) logins: Logins,
    pub(super) refusals: RefusalLog,
    pub(super) dropped: DroppedLog,
    pub(super) sessions: LiveSessions,
    /// Present where several targets share a door.
    cancel_keys: Option<CancelKeys>,
    slots: Slots,
    limits: RwLock<Arc<Limits>>,
    load_balancers: RwLock<Networks>,
    pending: Pending,
    next_id: AtomicU64,
    refuses_sessions: Gate,
    owner_only: bool,
}

/// Whether new sessions are refused now.
pub type Gate = Arc<dyn Fn() -> bool + Send + Sync>;

impl<R: Role> Engine<R> {
    /// An engine without connections. `acceptor` is TLS towards applications, absent where it is off.
    #[must_use]
    pub fn new(role: R, acceptor: Option<Acceptor>, limits: Limits) -> Self {
        metrics::limited(&limits);
        Self {
            role,
            acceptor: RwLock::new(acceptor),
            logins: Logins::new(&limits),
            refusals: RefusalLog::default(),
            dropped: DroppedLog::default(),
            sessions: LiveSessions::default(),
            cancel_keys: None,
            slots: Slots::default(),
            limits: RwLock::new(Arc::new(limits)),
            load_balancers: RwLock::default(),
            pending: Pending::default(),
            next_id: AtomicU64::new(1),
            refuses_sessions: Arc::new(|| false),
            owner_only: false,
        }
    }

    /// Refuses new sessions while this gate says so, because their audit lines could be lost.
    #[must_use]
    pub fn with_gate(self, refuses_sessions: Gate) -> Self {
        Self { refuses_sessions, ..self }
    }

    /// Serves the user of this process and root only, as far as the system identifies the user of a connection.
    #[must_use]
    pub fn for_owner_only(self, owner_only: bool) -> Self {
        Self { owner_only, ..self }
    }

    /// Remembers the targets of the open sessions by their cancel keys, for a door that several targets share.
    #[must_use]
    pub fn with_cancel_keys(self) -> Self {
        Self { cancel_keys: Some(CancelKeys::default()), ..self }
    }

    /// The table of the open sessions.
    #[must_use]
    pub fn sessions(&self) -> LiveSessions {
        self.sessions.clone()
    }

    /// The gauges that are measured when they are read.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let guesses = self.refusals.guesses.clone();
        Gauges { sessions: self.sessions.clone(), pending: self.pending.clone(), guesses }
    }

    /// Requires a header of the PROXY protocol from these networks, in connections to come.
    pub fn set_load_balancers(&self, load_balancers: Networks) {
        *self.load_balancers.write() = load_balancers;
    }

    /// Whether this peer is a load balancer, which has to state the peer behind it.
    pub(super) fn requires_proxy_header(&self, peer: Peer) -> bool {
        self.load_balancers.read().contain(peer)
    }

    /// Replaces the limits for connections to come.
    pub fn set_limits(&self, limits: Limits) {
        metrics::limited(&limits);
        self.logins.set_limits(&limits);
        *self.limits.write() = Arc::new(limits);
    }

    /// Replaces TLS towards applications, for connections to come. Settings that are the same keep their acceptor, which has a generated
    /// certificate and the keys of TLS sessions.
    pub fn set_acceptor(&self, acceptor: Acceptor) {
        let mut current = self.acceptor.write();
        if current.as_ref().is_none_or(|current| current.settings() != acceptor.settings()) {
            *current = Some(acceptor);
        }
    }

    /// TLS towards applications as it is now; absent where it is off.
    pub(super) fn acceptor(&self) -> Option<Acceptor> {
        self.acceptor.read().clone()
    }

    /// Why this application is not served, whatever it requests.
    pub(super) fn refusal(
        &self,
        peer: Peer,
        negotiated: &Negotiated,
        other_user: Option<Failure>,
    ) -> Option<Failure> {
        let is_cancel = matches!(negotiated.opening, Opening::Cancel(_));
        let plaintext = self.refuses_plaintext(peer) && !negotiated.app.stream().is_tls();
        // Some drivers close as soon as they have sent a cancel request. Its key proves enough.
        let other_user =
            other_user.filter(|user| !(is_cancel && matches!(user, Failure::ApplicationGone(_))));
        let certificate = || negotiated.client.as_ref().err().cloned().map(DoorError::Certificate);
        other_user.or(plaintext.then_some(Failure::Plaintext)).or_else(|| certificate().map(Failure::Door))
    }

    /// Whether this peer must use TLS. A Unix socket does not leave the machine, and libpq makes no TLS there.
    fn refuses_plaintext(&self, peer: Peer) -> bool {
        let acceptor = self.acceptor.read();
        peer != Peer::Unix
            && acceptor.as_ref().is_some_and(|acceptor| acceptor.settings().refuses_plaintext())
    }

    /// The refusal of a process of another user.
    pub(super) fn other_user(&self, socket: &Socket) -> Option<Failure> {
        if !self.owner_only {
            return None;
        }
        match PeerUser::of(socket) {
            PeerUser::Known(uid) if uid.is_owner_or_root() => None,
            PeerUser::Known(PeerUid(uid)) => Some(Failure::OtherUser(uid)),
            // It could have been one of another user, and what it has sent could be a statement.
            PeerUser::Gone => Some(Failure::ApplicationGone(io::ErrorKind::NotConnected.into())),
            PeerUser::Unidentified => None,
        }
    }

    pub(super) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read())
    }

    /// The id of a new connection and its permit to be pending. Where too many are, one of them is dropped.
    pub(super) fn admit(&self, peer: Peer) -> (u64, PendingPermit) {
        let (permit, dropped) = self.pending.add(peer, self.limits().pending());
        if let Some(peer) = dropped {
            self.dropped.add(peer);
        }
        (self.next_id.fetch_add(1, Ordering::Relaxed), permit)
    }

    /// The request of a connection that came in by this door. A cancel request at a shared door gets the target of its session.
    pub(super) fn request(&self, negotiated: Negotiated, door: &Door) -> (Framed, Request) {
        let Negotiated { app, opening, client } = negotiated;
        let server_name = app.stream().server_name().map(str::to_owned);
        let of_session = || match (&self.cancel_keys, &opening) {
            (Some(keys), Opening::Cancel(cancel)) => keys.target(cancel),
            _ => None,
        };
        let target = door.target.clone().or_else(of_session);
        // An application whose certificate is not trusted is refused before.
        let client = client.ok().flatten().map(Arc::new);
        (app, Request { opening, door: Door { target, server_name, client } })
    }

    /// Remembers the target of a session that begins, until the result is dropped.
    pub(super) fn keep_cancel_key(&self, cancel: Option<&CancelRequest>, target: &str) -> Option<KeptKey> {
        Some(self.cancel_keys.as_ref()?.keep(cancel?, target))
    }

    /// A slot for a connection whose first packet has arrived. Where all are in use, a login that waits makes room for it:
    /// connections without a credential must not take the slots of the others.
    pub(super) fn slot(&self, limits: &Limits, peer: Peer, may_cancel: bool) -> Result<Slot, Failure> {
        if !may_cancel && (self.refuses_sessions)() {
            return Err(Failure::AuditQueueFull);
        }
        let network = peer.network();
        let mut tries = 1;
        loop {
            match self.slots.take(limits, network, may_cancel) {
                // Another connection may have taken the slot before.
                Err(Failure::TooManyConnections(_)) if tries < TRIES && self.logins.make_room(network) => {
                    tries += 1;
                }
                taken => return taken,
            }
        }
    }
}

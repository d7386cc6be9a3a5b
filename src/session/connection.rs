//! One connection from accept to close: every step in its order.

use std::sync::Arc;

use tracing::debug;

use super::audit::Record;
use super::authenticate::{LoggedIn, authenticate};
use super::cancel::{cancel_left_behind, deliver};
use super::cancel_keys::KeptKey;
use super::close::{CLOSING, close, close_cancelled, close_hop, hang_up, leaves_query_behind, reason};
use super::connect::{HopStream, reach, secure, withhold_after};
use super::deadline::Deadline;
use super::logins::{Arrival, LoginPermit};
use super::negotiate::{Refused, negotiate};
use super::pending::{Admitted, Pending};
use super::proxy_header::read_proxy_header;
use super::slots::Permit;
use super::splice::{End, Splice};
use super::{Action, Door, Engine, Failure, Hop, Limits, Login, Opening, Request, Role, Route};
use crate::net::{Accepted, Framed, Peer, Socket};
use crate::shutdown::Shutdown;
use crate::tls::ClientCertificate;

/// How many tunnel streams a login may try, where pods refuse them after they were opened.
const STREAMS: u32 = 4;

/// A connection that has not ended.
struct Connection<'a, R> {
    engine: &'a Engine<R>,
    id: u64,
    limits: Arc<Limits>,
    peer: Peer,
    permit: Permit,
    record: Record,
}

/// How the steps before the splice end where they do not fail.
enum Reached {
    /// A session that is ready for queries.
    Session(Box<Session>),
    /// The cancel request was delivered.
    Cancelled,
}

struct Session {
    stream: HopStream,
    hop: Hop,
    /// What cancels its queries, if the hop sent a key.
    cancel: Option<Request>,
    kept_key: Option<KeptKey>,
}

/// Serves the connection from its first byte to its last.
pub(super) async fn serve_connection<R: Role>(engine: &Engine<R>, admitted: Admitted, shutdown: &Shutdown) {
    let Admitted { id, accepted: Accepted { socket, peer }, door, permit } = admitted;
    let (limits, permit) = (engine.limits(), Permit::Pending(permit));
    let mut connection = Connection { engine, id, limits, peer, permit, record: Record::new(peer) };
    // Boxed, so that a session in its long second phase does not carry the state of its short first one.
    match Box::pin(connection.establish(socket, &door, shutdown)).await {
        Ok((app, Reached::Session(session))) => Box::pin(connection.splice(app, *session, shutdown)).await,
        Ok((app, Reached::Cancelled)) => {
            connection.record.cancelled();
            close_cancelled(app).await;
        }
        Err(Refused { app, failure }) => {
            connection.record.failed(&failure, &engine.refusals);
            let Some(app) = app else { return };
            if let Failure::LoginDropped(_) = failure {
                return hang_up(app, failure.response()).await;
            }
            tokio::select! {
                () = close(app, failure.response()) => {}
                () = connection.permit.dropped() => {}
            }
        }
    }
}

impl<R: Role> Connection<'_, R> {
    /// Everything before the splice, within one deadline.
    async fn establish(
        &mut self,
        socket: Socket,
        door: &Door,
        shutdown: &Shutdown,
    ) -> Result<(Framed, Reached), Refused> {
        let mut deadline = Deadline::new(self.limits.handshake_timeout);
        // At once, because a process that has closed its end has no user any more.
        let other_user = self.engine.other_user(&socket);
        let mut app = Framed::new(socket);
        if self.engine.requires_proxy_header(self.peer) {
            let pending = Pending { permit: &self.permit, deadline: &deadline, shutdown };
            let reading = read_proxy_header(app, self.peer);
            (app, self.peer) = pending.wait("waiting for the PROXY protocol header", reading).await?;
            self.record.forwarded_for(self.peer);
            self.permit.forwarded_for(self.peer);
        }
        let pending = Pending { permit: &self.permit, deadline: &deadline, shutdown };
        let negotiation = negotiate(app, self.engine.acceptor());
        let negotiated = pending.wait("waiting for the application's startup packet", negotiation).await?;
        let refusal = self.engine.refusal(self.peer, &negotiated, other_user);
        let (mut app, request) = self.engine.request(negotiated, door);
        self.record.negotiated(&app, &request, self.engine.role.target_name(&request));
        let is_cancel = matches!(request.opening, Opening::Cancel(_));
        // The sender of a cancel request expects no answer.
        let refused = |app, failure| Refused { app: (!is_cancel).then_some(app), failure };
        if let Some(failure) = refusal {
            return Err(refused(app, failure));
        }
        // A connection beyond the limits is not worth a lookup or a token.
        let mut slot = match self.engine.slot(&self.limits, self.peer, request.may_cancel()) {
            Ok(slot) => slot,
            Err(failure) => return Err(refused(app, failure)),
        };
        let beyond_limits = slot.refused.take();
        self.permit = Permit::Slot(Arc::new(slot));
        let reached = tokio::select! {
            reached = self.reach(&mut app, request, beyond_limits, &mut deadline) => reached,
            () = shutdown.ended() => Err(Failure::ShuttingDown),
        };
        match reached {
            Ok(reached) => Ok((app, reached)),
            Err(failure) => Err(refused(app, failure)),
        }
    }

    /// From the application's first packet to a hop that is ready for queries, or that has cancelled one. A connection
    /// beyond the limits may only cancel.
    async fn reach(
        &mut self,
        app: &mut Framed,
        request: Request,
        beyond_limits: Option<Failure>,
        deadline: &mut Deadline,
    ) -> Result<Reached, Failure> {
        let client = request.door.client.clone();
        let (person, authorizing) = (self.engine.role.person_login(), self.engine.role.authorize(request));
        let route = deadline.while_person_logs_in(&person, authorizing).await?;
        self.record.authorized(&route);
        let Route { target, hop, action } = route;
        match (action, beyond_limits) {
            (Action::Cancel(packet), _) => {
                let limit = hop.transport.limit(self.limits.connect_timeout, deadline.left_to_try());
                let delivering = deliver(&hop, &packet, limit);
                deadline.within("delivering a cancel request to", &hop.name, delivering).await?;
                Ok(Reached::Cancelled)
            }
            (Action::Session(_), Some(failure)) => Err(failure),
            (Action::Session(login), None) => {
                let arrival = Arrival {
                    peer: self.peer.network(),
                    target: &target,
                    has_password: login.has_password(),
                    slot: self.permit.slot(),
                };
                let mut permit = self.engine.logins.arrive(arrival);
                if permit.begin(deadline.left_to_try()).await? {
                    self.record.waited();
                }
                let (stream, logged_in) = self.log_in(app, &hop, &login, &permit, deadline).await?;
                permit.succeeded();
                self.record.ready(logged_in.iam_verified);
                if login.of_client {
                    self.record.count_client();
                }
                let kept_key = self.engine.keep_cancel_key(logged_in.cancel.as_ref(), &target);
                let cancel = logged_in.cancel.map(|cancel| Request::to_cancel(cancel, &target, client));
                Ok(Reached::Session(Box::new(Session { stream, hop, cancel, kept_key })))
            }
        }
    }

    /// Connects and authenticates. A pod may refuse a stream after it was opened, and a hop a certificate that nobody
    /// configured: then the application has received nothing, so both steps are repeated.
    async fn log_in(
        &mut self,
        app: &mut Framed,
        hop: &Hop,
        login: &Login,
        permit: &LoginPermit,
        deadline: &mut Deadline,
    ) -> Result<(HopStream, LoggedIn), Failure> {
        let (mut streams, mut certificate) = (1, ClientCertificate::Shown);
        loop {
            let limit = hop.transport.limit(self.limits.connect_timeout, deadline.left_to_try());
            let attempt = async {
                let reached = deadline.within("connecting to", &hop.name, reach(hop, limit)).await?;
                deadline.hop_accepted(hop.is_database);
                let name = reached.hop.name.clone();
                let securing = secure(reached, certificate);
                let mut stream = if hop.is_database {
                    deadline.while_hop_answers(&name, securing).await?
                } else {
                    deadline.within("making TLS with", &name, securing).await?
                };
                self.record.connected(&stream.framed);
                let logged_in = authenticate(app, &mut stream, login, permit, deadline).await?;
                Ok((stream, logged_in))
            };
            match attempt.await {
                Err(Failure::RefusedLate { source, .. }) if streams == STREAMS => {
                    return Err(Failure::Unreachable { hop: hop.name.clone(), source });
                }
                Err(Failure::RefusedLate { source, .. }) => {
                    debug!(error = %source, "the pod refused an open stream; opening another one");
                    streams += 1;
                }
                Err(failure) if withhold_after(&failure, hop, &mut certificate) => {
                    debug!(%failure, "the hop refused the generated certificate; connecting again without");
                }
                done => return done,
            }
        }
    }

    /// Moves bytes until the session ends, then tells both sides why.
    async fn splice(&self, app: Framed, session: Session, shutdown: &Shutdown) {
        let Session { stream, mut hop, cancel, kept_key: _until_the_end } = session;
        hop.name.clone_from(&stream.name);
        let (app, stream) = (app.into_stream(), stream.framed.into_stream());
        let mut splice = Splice::new(app, stream, self.limits.idle_timeout);
        let live = self.record.add_to(&self.engine.sessions, self.id, splice.activity());
        let end = tokio::select! {
            end = splice.run() => end,
            () = shutdown.ended() => End::Shutdown,
            order = live.ordered() => self.record.ordered(order),
        };
        live.settle(splice.sent(), splice.received());
        drop(live);
        self.record.ended(&splice, &end);
        let cancels = self.limits.cancel_on_disconnect || matches!(end, End::Administrator(_));
        let left_behind = cancels && leaves_query_behind(&splice, &end);
        let cancel = cancel.filter(|_| left_behind);
        let limit = if let End::Shutdown = end { CLOSING } else { self.limits.connect_timeout };
        let response =
            reason(end, &hop).filter(|_| splice.may_speak()).and_then(|failure| failure.response());
        let cancelling = async {
            if let Some(cancel) = cancel {
                // Boxed, so that an open session does not carry its state.
                Box::pin(cancel_left_behind(&self.engine.role, &hop, cancel, limit)).await;
            }
        };
        let (hop_is_idle, (app, stream)) = (splice.hop_is_idle(), splice.into_sides());
        tokio::join!(close(Framed::new(app), response), close_hop(stream, hop_is_idle), cancelling);
    }
}

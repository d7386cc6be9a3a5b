//! The life of one connection: every step in its order.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::accept::Engine;
use super::audit::Record;
use super::cancel::{cancel_left_behind, deliver};
use super::contract::CANCEL;
use super::deadline::Deadline;
use super::login::Login;
use super::negotiate::{Refused, negotiate};
use super::places::{Place, Places};
use super::splice::{End, Side, Splice};
use super::{Action, Failure, Fault, Hop, Limits, Opening, Request, Role, Route};
use crate::net::{Accepted, Framed, Peer, Socket, Stream, Turn};
use crate::shutdown::Shutdown;
use crate::wire::{CancelRequest, ErrorResponse};

/// How long an application may take to read the last words to it.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A connection and what it needs on its way.
struct Life<'a, R> {
    engine: &'a Engine<R>,
    limits: Arc<Limits>,
    standing: Standing,
    record: Record,
}

/// By what right a connection is here.
enum Standing {
    /// It has not said what it wants.
    Waiting(Turn),
    /// It has, and may go on.
    Placed { _place: Place },
}

/// A session that is ready for queries.
struct Ready {
    app: Stream,
    stream: Stream,
    hop: Hop,
    cancel: Option<CancelRequest>,
}

/// Serves a connection from its first byte to its last.
pub(super) async fn live<R: Role>(
    engine: &Engine<R>,
    places: &Places,
    accepted: Accepted,
    turn: Turn,
    shutdown: &Shutdown,
) {
    let Accepted { socket, peer } = accepted;
    let standing = Standing::Waiting(turn);
    let mut life = Life { engine, limits: engine.limits(), standing, record: Record::new(peer) };
    // Boxed, so that a session in its long second phase does not carry the state of its short first one.
    match Box::pin(life.establish(places, socket, peer, shutdown)).await {
        Ok(Some(ready)) => Box::pin(life.splice(ready, shutdown)).await,
        Ok(None) => life.record.cancelled(),
        Err(Refused { app, failure }) => {
            life.record.failed(&failure);
            let Some(app) = app else { return };
            tokio::select! {
                () = part(app, failure.response()) => {}
                () = life.standing.lost() => {}
            }
        }
    }
}

impl Standing {
    /// Returns when newer connections need the room.
    async fn lost(&self) {
        match self {
            Self::Waiting(turn) => turn.dismissed().await,
            Self::Placed { .. } => std::future::pending().await,
        }
    }
}

impl<R: Role> Life<'_, R> {
    /// Everything before the splice. Nothing is returned for a cancel request, which is done by then; it is all that
    /// a connection beyond the limits may bring.
    async fn establish(
        &mut self,
        places: &Places,
        socket: Socket,
        peer: Peer,
        shutdown: &Shutdown,
    ) -> Result<Option<Ready>, Refused> {
        let mut deadline = Deadline::new(self.limits.handshake_timeout);
        let negotiation = negotiate(socket, self.engine.acceptor.as_ref());
        let doing = "waiting for the application's startup packet";
        let (mut app, opening) = tokio::select! {
            negotiated = deadline.blaming(Fault::Application, doing, negotiation) => negotiated?,
            () = self.standing.lost() => return Err(Failure::Unheard.into()),
            // Who has not said what it wants waits for no answer.
            () = shutdown.ended() => return Err(Failure::ShuttingDown.into()),
        };
        let request = Request { opening };
        self.record.negotiated(&app, &request);
        // A refused session is not worth a lookup or a token.
        let mut place = match places.take(&self.limits, peer.place(), may_cancel(&request.opening)) {
            Ok(place) => place,
            Err(failure) => return Err(Refused { app: Some(app), failure }),
        };
        let beyond_limits = place.refused.take();
        self.standing = Standing::Placed { _place: place };
        let reached = tokio::select! {
            reached = self.reach(&mut app, request, beyond_limits, &mut deadline) => reached,
            () = shutdown.ended() => Err(Failure::ShuttingDown),
        };
        match reached {
            Ok(Some((framed, hop, cancel))) => {
                Ok(Some(Ready { app: app.into_stream(), stream: framed.into_stream(), hop, cancel }))
            }
            Ok(None) => Ok(None),
            Err(failure) => Err(Refused { app: Some(app), failure }),
        }
    }

    /// From the application's first packet to a hop that is ready for queries.
    async fn reach(
        &mut self,
        app: &mut Framed,
        request: Request,
        beyond_limits: Option<Failure>,
        deadline: &mut Deadline,
    ) -> Result<Option<(Framed, Hop, Option<CancelRequest>)>, Failure> {
        let deciding = self.engine.role.authorize(request);
        let route = deadline.blaming(Fault::Proxy, "deciding where the connection goes", deciding).await?;
        self.record.authorized(&route);
        let Route { hop, action, .. } = route;
        let login = match action {
            Action::Cancel { packet } => {
                let limit = hop.transport.limit(self.limits.connect_timeout, deadline.left_to_try());
                deadline.within("delivering a cancel request", deliver(&hop, &packet, limit)).await?;
                return Ok(None);
            }
            Action::Session { startup, password, identity } => Login { startup, password, identity },
        };
        if let Some(failure) = beyond_limits {
            return Err(failure);
        }
        let (framed, cancel) = login.run(app, &hop, &self.limits, deadline, &mut self.record).await?;
        self.record.ready();
        Ok(Some((framed, hop, cancel)))
    }

    /// Moves bytes until it ends, and sees to it that both sides learn of the end.
    async fn splice(&self, ready: Ready, shutdown: &Shutdown) {
        let Ready { app, stream, hop, cancel } = ready;
        let mut splice = Splice::new(app, stream, self.limits.idle_timeout);
        let end = tokio::select! {
            end = splice.run() => end,
            () = shutdown.ended() => End::Shutdown,
        };
        self.record.ended(&splice, &end);
        let left_behind = self.limits.cancel_on_disconnect && leaves_query_behind(&splice, &end);
        let cancel = cancel.filter(|_| left_behind);
        let limit = if let End::Shutdown = end { LAST_WORDS } else { self.limits.connect_timeout };
        let response = last_words(end, &hop).filter(|_| splice.may_speak()).and_then(|last| last.response());
        let cancelling = async {
            if let Some(cancel) = cancel {
                cancel_left_behind(&hop, cancel, limit).await;
            }
        };
        tokio::join!(part(Framed::new(splice.into_app()), response), cancelling);
    }
}

/// Whether the database may go on with a query that nobody waits for any more.
fn leaves_query_behind(splice: &Splice, end: &End) -> bool {
    match end {
        // A database that does not follow is at work.
        End::Lingered(Side::App) => true,
        End::Broken(Side::App, _) | End::Shutdown | End::Idle(_) => splice.may_be_busy(),
        _ => false,
    }
}

/// What there is to say to an application whose session did not end by its own doing.
fn last_words(end: End, hop: &Hop) -> Option<Failure> {
    let lost = |reason| Failure::HopLost { hop: hop.name.clone(), reason };
    match end {
        End::Shutdown => Some(Failure::ShuttingDown),
        End::Idle(limit) => Some(Failure::Idle(limit)),
        End::Broken(Side::Hop, error) => Some(lost(Some(error))),
        End::Closed(Side::Hop) => Some(lost(None)),
        _ => None,
    }
}

/// Whether this may turn out to be a cancel request, which is heard beyond all limits. One that comes from a client is
/// a startup packet with a parameter; whether that counts is for the role to say.
fn may_cancel(opening: &Opening) -> bool {
    match opening {
        Opening::Cancel(_) => true,
        Opening::Startup(startup) => startup.get(CANCEL).is_some(),
    }
}

/// Says why it ends, if there is something to say, and closes so that the application gets to read everything: a
/// socket that is closed with unread bytes in it is reset, and a reset discards what was sent.
async fn part(mut app: Framed, last_words: Option<ErrorResponse>) {
    if let Some(response) = last_words {
        response.encode(app.out());
    }
    let parting = async {
        app.flush().await?;
        let mut stream = app.into_stream();
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // Who does not want to hear it need not.
    let _heard = timeout(LAST_WORDS, parting).await;
}

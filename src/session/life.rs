//! The life of one connection: every step in its order.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::accept::Engine;
use super::audit::Record;
use super::authenticate::{Attempt, authenticate};
use super::cancel::{cancel_left_behind, deliver};
use super::connect::connect;
use super::deadline::Deadline;
use super::limits::Place;
use super::negotiate::{Refused, negotiate};
use super::splice::{End, Side, Splice};
use super::{Errand, Failure, Hop, Opening, Request, Role, Route};
use crate::net::{Accepted, Framed, Socket, Stream};
use crate::secret::Secret;
use crate::shutdown::Shutdown;
use crate::wire::{CancelRequest, ErrorResponse, StartupMessage};

/// How long an application may take to read the last words to it.
const LAST_WORDS: Duration = Duration::from_secs(3);

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
    accepted: Accepted,
    mut place: Place,
    shutdown: &Shutdown,
) {
    let mut record = Record::new(accepted.peer);
    let handshake = establish(engine, accepted.socket, &mut place, &mut record);
    // Boxed, so that a session in its long second phase does not carry the state of its short first one.
    let established = tokio::select! {
        established = Box::pin(handshake) => established,
        () = shutdown.ended() => return,
    };
    match established {
        Ok(Some(ready)) => Box::pin(splice(engine, ready, &record, shutdown)).await,
        Ok(None) => record.cancelled(),
        Err(Refused { app, failure }) => {
            record.failed(&failure);
            if let Some(app) = app {
                part(app, failure.response()).await;
            }
        }
    }
}

/// Everything before the splice. Nothing is returned for a cancel request, which is done by then.
async fn establish<R: Role>(
    engine: &Engine<R>,
    socket: Socket,
    place: &mut Place,
    record: &mut Record,
) -> Result<Option<Ready>, Refused> {
    let mut deadline = Deadline::new(engine.limits.handshake_timeout);
    let negotiation = negotiate(socket, engine.acceptor.as_ref());
    let (mut app, opening) =
        deadline.within("waiting for the application's startup packet", negotiation).await?;
    let request = Request { opening };
    record.negotiated(&app, &request);
    if let (Some(failure), Opening::Startup(_)) = (place.refused(), &request.opening) {
        return Err(Refused { app: Some(app), failure });
    }
    match reach(engine, &mut app, request, record, &mut deadline).await {
        Ok(Some((framed, hop, cancel))) => {
            Ok(Some(Ready { app: app.into_stream(), stream: framed.into_stream(), hop, cancel }))
        }
        Ok(None) => Ok(None),
        Err(failure) => Err(Refused { app: Some(app), failure }),
    }
}

/// From the application's first packet to a hop that is ready for queries.
async fn reach<R: Role>(
    engine: &Engine<R>,
    app: &mut Framed,
    request: Request,
    record: &mut Record,
    deadline: &mut Deadline,
) -> Result<Option<(Framed, Hop, Option<CancelRequest>)>, Failure> {
    let deciding = engine.role.authorize(request);
    let route = deadline.within("deciding where the connection goes", deciding).await?;
    record.authorized(&route);
    let Route { hop, errand, .. } = route;
    let limit = engine.limits.connect_timeout;
    let (startup, password, identity) = match errand {
        Errand::Cancel { packet } => {
            deadline.within("delivering a cancel request", deliver(&hop, &packet, limit)).await?;
            return Ok(None);
        }
        Errand::Session { startup, password, identity } => (startup, password, identity),
    };
    let secret = carries_password(&startup, password.as_ref());
    let mut framed = deadline.within("connecting to the next hop", connect(&hop, limit, secret)).await?;
    let attempt =
        Attempt { startup, password: password.as_ref(), identity: identity.as_deref(), hop_name: &hop.name };
    let cancel = authenticate(app, &mut framed, attempt, deadline).await?;
    record.ready(&framed);
    Ok(Some((framed, hop, cancel)))
}

fn carries_password(startup: &StartupMessage, password: Option<&Secret>) -> bool {
    password.is_some() || startup.get("password").is_some()
}

async fn splice<R: Role>(engine: &Engine<R>, ready: Ready, record: &Record, shutdown: &Shutdown) {
    let Ready { app, stream, hop, cancel } = ready;
    let mut splice = Splice::new(app, stream, engine.limits.idle_timeout);
    let end = tokio::select! {
        end = splice.run() => Some(end),
        () = shutdown.ended() => None,
    };
    record.ended(&splice, end.as_ref());
    let left_behind = matches!(end, Some(End::Broken(Side::App, _) | End::Lingered(Side::App)));
    if let (true, true, Some(cancel)) = (left_behind, engine.limits.cancel_on_disconnect, cancel) {
        cancel_left_behind(&hop, cancel, engine.limits.connect_timeout).await;
    }
    let last_words = match end {
        None => Some(Failure::ShuttingDown),
        Some(End::Idle(limit)) => Some(Failure::Idle(limit)),
        Some(End::Broken(Side::Hop, _) | End::Closed(Side::Hop)) => Some(Failure::HopLost { hop: hop.name }),
        Some(_) => None,
    };
    let response = last_words.filter(|_| splice.may_speak()).and_then(|failure| failure.response());
    part(Framed::new(splice.into_app()), response).await;
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

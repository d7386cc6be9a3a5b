//! The life of one connection: every step in its order.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tracing::debug;

use super::accept::Engine;
use super::audit::Record;
use super::authenticate::{Attempt, authenticate};
use super::cancel::{cancel_left_behind, deliver};
use super::connect::connect;
use super::contract::{CANCEL, PASSWORD};
use super::deadline::Deadline;
use super::limits::Place;
use super::negotiate::{Refused, negotiate};
use super::splice::{End, Side, Splice};
use super::{Errand, Failure, Fault, Hop, Limits, Opening, Request, Role, Route};
use crate::net::{Accepted, Framed, Socket, Stream};
use crate::secret::Secret;
use crate::shutdown::Shutdown;
use crate::tls::Mode;
use crate::wire::{CancelRequest, ErrorResponse, StartupMessage};

/// How long a connection beyond the limits may take to say what it wants.
const HEARING: Duration = Duration::from_secs(3);

/// How long an application may take to read the last words to it.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How many streams a login may begin on, where pods refuse them after they were opened.
const STREAMS: u32 = 4;

/// A connection and what it needs on its way.
struct Life<'a, R> {
    engine: &'a Engine<R>,
    limits: Arc<Limits>,
    record: Record,
}

/// What a session begins with.
struct Login {
    startup: StartupMessage,
    password: Option<Secret>,
    identity: Option<String>,
}

impl Login {
    fn carries_password(&self) -> bool {
        self.password.is_some() || self.startup.get(PASSWORD).is_some()
    }
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
    accepted: Accepted,
    mut place: Place,
    shutdown: &Shutdown,
) {
    let mut life = Life { engine, limits: engine.limits(), record: Record::new(accepted.peer) };
    // Boxed, so that a session in its long second phase does not carry the state of its short first one.
    match Box::pin(life.establish(accepted.socket, place.refused.take(), shutdown)).await {
        Ok(Some(ready)) => Box::pin(life.splice(ready, shutdown)).await,
        Ok(None) => life.record.cancelled(),
        Err(Refused { app, failure }) => {
            life.record.failed(&failure);
            if let Some(app) = app {
                part(app, failure.response()).await;
            }
        }
    }
}

impl<R: Role> Life<'_, R> {
    /// Everything before the splice. Nothing is returned for a cancel request, which is done by then; it is all that
    /// a connection beyond the limits may bring.
    async fn establish(
        &mut self,
        socket: Socket,
        beyond_limits: Option<Failure>,
        shutdown: &Shutdown,
    ) -> Result<Option<Ready>, Refused> {
        let mut deadline = Deadline::new(self.limits.handshake_timeout);
        let hearing =
            beyond_limits.as_ref().map(|_| Deadline::new(HEARING.min(self.limits.handshake_timeout)));
        let negotiation = negotiate(socket, self.engine.acceptor.as_ref());
        let doing = "waiting for the application's startup packet";
        let (mut app, opening) = tokio::select! {
            negotiated = hearing.as_ref().unwrap_or(&deadline).blaming(Fault::Application, doing, negotiation) => negotiated?,
            // Who has not said what it wants waits for no answer.
            () = shutdown.ended() => return Err(Failure::ShuttingDown.into()),
        };
        let request = Request { opening };
        self.record.negotiated(&app, &request);
        let beyond_limits = match beyond_limits {
            // A refused session is not worth a lookup or a token.
            Some(failure) if !may_cancel(&request.opening) => {
                return Err(Refused { app: Some(app), failure });
            }
            other => other,
        };
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
        let Route { hop, errand, .. } = route;
        let login = match errand {
            Errand::Cancel { packet } => {
                let limit = hop.way.limit(self.limits.connect_timeout, deadline.left_to_try());
                deadline.within("delivering a cancel request", deliver(&hop, &packet, limit)).await?;
                return Ok(None);
            }
            Errand::Session { startup, password, identity } => Login { startup, password, identity },
        };
        if let Some(failure) = beyond_limits {
            return Err(failure);
        }
        let (framed, cancel) = self.log_in(app, &hop, &login, deadline).await?;
        self.record.ready();
        Ok(Some((framed, hop, cancel)))
    }

    /// Reaches the hop and logs in there. A pod may refuse a stream that counted as open already: then nobody has got
    /// what was sent on it, and the application has heard nothing, so all begins anew on another stream.
    async fn log_in(
        &mut self,
        app: &mut Framed,
        hop: &Hop,
        login: &Login,
        deadline: &mut Deadline,
    ) -> Result<(Framed, Option<CancelRequest>), Failure> {
        let mut left = STREAMS;
        loop {
            left -= 1;
            let mut heard = 0;
            let failure = match self.try_to_log_in(app, hop, (login, &mut heard), deadline).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            match failure {
                Failure::HopGone { hop, source }
                    if heard == 0 && source.kind() == ErrorKind::ConnectionRefused =>
                {
                    if left == 0 {
                        return Err(Failure::Unreachable { hop, source });
                    }
                    debug!(error = %source, "refused after all; opening another stream");
                }
                other => return Err(other),
            }
        }
    }

    async fn try_to_log_in(
        &mut self,
        app: &mut Framed,
        hop: &Hop,
        (login, heard): (&Login, &mut usize),
        deadline: &mut Deadline,
    ) -> Result<(Framed, Option<CancelRequest>), Failure> {
        let limit = hop.way.limit(self.limits.connect_timeout, deadline.left_to_try());
        let connecting = connect(hop, limit, login.carries_password());
        let mut framed = deadline.within("connecting to the next hop", connecting).await?;
        self.record.connected(&framed);
        let attempt = Attempt {
            startup: login.startup.clone(),
            password: login.password.as_ref(),
            identity: login.identity.as_deref(),
            hop_name: &hop.name,
            unprotected: hop.tls.mode() == Mode::Prefer && !framed.stream().is_tls(),
            heard,
        };
        let cancel = authenticate(app, &mut framed, attempt, deadline).await?;
        Ok((framed, cancel))
    }

    /// Moves bytes until it ends, and sees to it that both sides learn of the end.
    async fn splice(&self, ready: Ready, shutdown: &Shutdown) {
        let Ready { app, stream, hop, cancel } = ready;
        app.allow_pauses();
        stream.allow_pauses();
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

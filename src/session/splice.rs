//! Step 6, splice: bytes both ways until both sides are done. Nothing is parsed, logged or allocated per message.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use self::direction::Direction;
use crate::net::Stream;

mod direction;
#[cfg(test)]
mod tests;

/// How long the second side may go on in silence once the first has closed.
const LINGER: Duration = Duration::from_secs(10);

/// `ReadyForQuery`, without the byte that tells the transaction status.
const READY_FOR_QUERY: &[u8] = &[b'Z', 0, 0, 0, 5];

/// The whole message `Terminate`.
const TERMINATE: &[u8] = &[b'X', 0, 0, 0, 4];

/// Two streams that are being joined.
pub(super) struct Splice {
    app: Stream,
    hop: Stream,
    up: Direction,
    down: Direction,
    idle: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    last_move: Instant,
    last_heard: Side,
    first_closed: Option<Side>,
    broken: Option<Broken>,
}

/// A side of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    App,
    Hop,
}

/// How a splice ended.
#[derive(Debug)]
pub(super) enum End {
    /// All was passed on; this side closed first.
    Closed(Side),
    /// This side's connection broke.
    Broken(Side, io::Error),
    /// This side closed, and the other neither followed nor said anything more.
    Lingered(Side),
    /// Nothing moved for as long as `idle_timeout`.
    Idle(Duration),
    /// The proxy stops.
    Shutdown,
}

impl Splice {
    pub(super) fn new(app: Stream, hop: Stream, idle: Option<Duration>) -> Self {
        let last_move = Instant::now();
        let (up, down) = (Direction::new(Side::App), Direction::new(Side::Hop));
        let (timer, last_heard, first_closed, broken) = (None, Side::Hop, None, None);
        Self { app, hop, up, down, idle, timer, last_move, last_heard, first_closed, broken }
    }

    /// Moves bytes until it ends. May be dropped and called again; no byte is lost by that.
    pub(super) async fn run(&mut self) -> End {
        poll_fn(|context| self.poll(context)).await
    }

    /// Bytes from the application to the hop.
    pub(super) fn sent(&self) -> u64 {
        self.up.moved
    }

    /// Bytes from the hop to the application.
    pub(super) fn received(&self) -> u64 {
        self.down.moved
    }

    /// Whether the application is surely between two messages and has not taken its leave: an ErrorResponse of our
    /// own can be put there without being taken for a part of something else.
    pub(super) fn may_speak(&self) -> bool {
        self.answered() && !self.took_leave()
    }

    /// Whether the database may be at work for this session: something was said to it since it was last ready for a
    /// query, or it is in the middle of an answer.
    pub(super) fn may_be_busy(&self) -> bool {
        (self.last_heard == Side::App || !self.answered()) && !self.took_leave()
    }

    /// The application's side, to say something last.
    pub(super) fn into_app(self) -> Stream {
        self.app
    }

    /// Whether the last that the hop said, and the application has got, was that it is ready for a query.
    fn answered(&self) -> bool {
        let nothing_said = self.down.moved == 0;
        self.down.is_clear() && (nothing_said || self.down.tail.starts_with(READY_FOR_QUERY))
    }

    fn took_leave(&self) -> bool {
        self.up.tail.ends_with(TERMINATE)
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let (sent, received) = (self.up.moved, self.down.moved);
        let up = self.up.poll(context, &mut self.app, &mut self.hop);
        let down = self.down.poll(context, &mut self.hop, &mut self.app);
        for broken in [up, down].into_iter().filter_map(broke) {
            self.broken.get_or_insert(broken);
        }
        if self.first_closed.is_none() {
            self.first_closed = self.closed();
            if self.first_closed.is_some() {
                // What follows on a close is counted from the close, however silent it was before.
                self.last_move = Instant::now();
            }
        }
        if let (Some(side), true) = (self.first_closed, self.is_over()) {
            return Poll::Ready(self.or_broken(End::Closed(side)));
        }
        if (self.up.moved, self.down.moved) != (sent, received) {
            self.last_move = Instant::now();
            // Where both moved, what came down may have been the answer to something earlier.
            self.last_heard = if self.up.moved == sent { Side::Hop } else { Side::App };
        }
        let end = ready!(self.poll_timer(context));
        Poll::Ready(self.or_broken(end))
    }

    fn or_broken(&mut self, end: End) -> End {
        self.broken.take().map_or(end, |(side, error)| End::Broken(side, error))
    }

    /// Whether there is nothing more to move. What a side said before its connection broke still counts. A hop that
    /// has ended answers nothing more, so what the application may still send is of no use.
    fn is_over(&self) -> bool {
        match self.broken {
            Some((Side::App, _)) => self.up.is_done(),
            Some((Side::Hop, _)) | None => self.down.is_done(),
        }
    }

    /// Which side has closed. A hop that closes after the application took its leave only follows.
    fn closed(&self) -> Option<Side> {
        if let Some((side, _)) = self.broken {
            return Some(side);
        }
        let mut directions = [&self.up, &self.down].into_iter();
        let side = directions.find(|direction| !direction.is_open())?.from;
        Some(if self.took_leave() { Side::App } else { side })
    }

    /// Ends a session that is silent for too long; how long depends on whether a side has closed.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let (limit, end) = match (self.first_closed, self.idle) {
            (Some(side), _) => (LINGER, End::Lingered(side)),
            (None, Some(idle)) => (idle, End::Idle(idle)),
            (None, None) => return Poll::Pending,
        };
        loop {
            let due = self.last_move + limit;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= due {
                return Poll::Ready(end);
            }
            timer.as_mut().reset(due);
        }
    }
}

/// The side whose connection broke, and how.
type Broken = (Side, io::Error);

fn broke(polled: Poll<Result<(), Broken>>) -> Option<Broken> {
    if let Poll::Ready(Err(broken)) = polled { Some(broken) } else { None }
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::App => Self::Hop,
            Self::Hop => Self::App,
        }
    }

    /// Its name in logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::App => "application",
            Self::Hop => "hop",
        }
    }
}

//! Step 6, splice: bytes both ways until both sides are done. Nothing is parsed, logged or allocated per message.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::net::{Buffer, Stream};

#[cfg(test)]
mod tests;

/// How long the second side may go on in silence once the first has closed.
const LINGER: Duration = Duration::from_secs(10);

/// `ReadyForQuery`, without the byte that tells the transaction status.
const READY_FOR_QUERY: &[u8] = &[b'Z', 0, 0, 0, 5];

/// The whole message `Terminate`.
const TERMINATE: &[u8] = &[b'X', 0, 0, 0, 4];

/// How many of the last bytes are remembered.
const TAIL: usize = 6;

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

/// One direction.
struct Direction {
    from: Side,
    /// Held only while bytes are under way.
    buffer: Option<Buffer>,
    moved: u64,
    tail: [u8; TAIL],
    state: State,
    /// Why the source ended, where it broke.
    failure: Option<io::Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The source has ended; what is buffered is still to be written.
    Ended,
    /// The end was passed on.
    Done,
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
        self.down.buffer.is_none() && (nothing_said || self.down.tail.starts_with(READY_FOR_QUERY))
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
        let side = directions.find(|direction| direction.state != State::Open)?.from;
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

impl Direction {
    fn new(from: Side) -> Self {
        Self { from, buffer: None, moved: 0, tail: [0; TAIL], state: State::Open, failure: None }
    }

    fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Moves what can be moved now. Ready once the end was passed on, or a connection broke; both are for good.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Stream,
        sink: &mut Stream,
    ) -> Poll<Result<(), Broken>> {
        let moved = ready!(self.poll_move(context, source, sink));
        self.state = State::Done;
        Poll::Ready(moved)
    }

    fn poll_move(
        &mut self,
        context: &mut Context<'_>,
        source: &mut Stream,
        sink: &mut Stream,
    ) -> Poll<Result<(), Broken>> {
        let (from, to) = (self.from, self.from.other());
        loop {
            let filled = match self.state {
                State::Done => return Poll::Ready(Ok(())),
                State::Ended => Poll::Ready(()),
                State::Open => self.fill(context, source),
            };
            self.drain(context, &mut *sink).map_err(|error| (to, error))?;
            if self.buffer.is_some() {
                return Poll::Pending;
            }
            if let Some(error) = self.failure.take() {
                return Poll::Ready(Err((from, error)));
            }
            if self.state == State::Ended {
                return self.pass_end_on(context, sink).map_err(|error| (to, error));
            }
            if filled.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// The application's end becomes the hop's. The hop's is left to the caller, who may have something to say to the
    /// application first.
    fn pass_end_on(&self, context: &mut Context<'_>, sink: &mut Stream) -> Poll<io::Result<()>> {
        match self.from {
            Side::Hop => Pin::new(sink).poll_flush(context),
            // A hop that is gone already cannot be told; the other direction finds that out.
            Side::App => Pin::new(sink).poll_shutdown(context).map(|_told| Ok(())),
        }
    }

    /// Reads until the source has no more or the buffer is full, so that one write does for all of it. Ready if
    /// there may be more to read. What was read before a source broke is passed on as well.
    fn fill(&mut self, context: &mut Context<'_>, source: &mut Stream) -> Poll<()> {
        let mut buffer = self.buffer.take().unwrap_or_else(Buffer::take);
        let filled = loop {
            let mut space = ReadBuf::new(buffer.free());
            if space.remaining() == 0 {
                break Poll::Ready(());
            }
            match Pin::new(&mut *source).poll_read(context, &mut space) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(Ok(())) if space.filled().is_empty() => {
                    self.state = State::Ended;
                    break Poll::Ready(());
                }
                // A database that closes its socket without closing TLS first has ended the session as well.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.state = State::Ended;
                    break Poll::Ready(());
                }
                Poll::Ready(Err(error)) => {
                    self.state = State::Ended;
                    self.failure = Some(error);
                    break Poll::Ready(());
                }
                Poll::Ready(Ok(())) => {
                    let amount = space.filled().len();
                    buffer.filled(amount);
                }
            }
        };
        self.buffer = (!buffer.unread().is_empty()).then_some(buffer);
        filled
    }

    /// Writes what is buffered, as far as the sink takes it.
    fn drain(&mut self, context: &mut Context<'_>, sink: &mut Stream) -> io::Result<()> {
        let Some(mut buffer) = self.buffer.take() else { return flush(context, sink) };
        while !buffer.unread().is_empty() {
            let Poll::Ready(written) = Pin::new(&mut *sink).poll_write(context, buffer.unread()) else {
                self.buffer = Some(buffer);
                return Ok(());
            };
            let written = written?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.remember(buffer.unread().get(..written).unwrap_or_default());
            buffer.consumed(written);
        }
        drop(buffer);
        flush(context, sink)
    }

    fn remember(&mut self, written: &[u8]) {
        self.moved += written.len() as u64;
        if let Some(last) = written.last_chunk::<TAIL>() {
            self.tail = *last;
        } else {
            self.tail.rotate_left(written.len());
            for (place, byte) in self.tail.iter_mut().rev().zip(written.iter().rev()) {
                *place = *byte;
            }
        }
    }
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

/// TLS takes bytes over before the socket does. Pending is no reason to stop: the socket wakes us when it has room.
fn flush(context: &mut Context<'_>, sink: &mut Stream) -> io::Result<()> {
    match Pin::new(sink).poll_flush(context) {
        Poll::Ready(Err(error)) => Err(error),
        Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
    }
}

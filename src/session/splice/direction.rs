//! Moves bytes from one side to the other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::reply::Reply;
use crate::net::{Buffer, Stream};

/// A side of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Side {
    App,
    Hop,
}

/// The side whose connection broke, and how.
pub(super) type Broken = (Side, io::Error);

/// How many of the last bytes are kept: a `ReadyForQuery` and the byte before it.
pub(super) const TAIL: usize = 7;

/// One direction of a splice.
pub(super) struct Direction {
    pub(super) from: Side,
    /// How many bytes were written to the sink, and the last of them.
    pub(super) moved: u64,
    pub(super) tail: [u8; TAIL],
    /// Held only while it has unwritten bytes.
    buffer: Option<Buffer>,
    state: State,
    /// Why the source ended, where it broke.
    failure: Option<io::Error>,
    /// What is known about it, where the source is the hop.
    pub(super) reply: Reply,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The source has ended; buffered bytes are still to be written.
    Ended,
    /// The sink received the end too.
    Done,
}

impl Direction {
    pub(super) fn new(from: Side) -> Self {
        Self {
            from,
            moved: 0,
            tail: [0; TAIL],
            buffer: None,
            state: State::Open,
            failure: None,
            reply: Reply::default(),
        }
    }

    /// Whether the source may still send bytes.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether this direction has ended.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether no byte waits between source and sink.
    pub(super) fn is_clear(&self) -> bool {
        self.buffer.is_none()
    }

    /// Moves the bytes that can be moved now. Ready, and from then on always, once the sink received the end or a connection
    /// broke.
    pub(super) fn poll(
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

    /// Passes the application's end to the hop. The hop's end is left to the caller, which may send a last message first.
    fn pass_end_on(&self, context: &mut Context<'_>, sink: &mut Stream) -> Poll<io::Result<()>> {
        match self.from {
            Side::Hop => Pin::new(sink).poll_flush(context),
            // An error means that the hop is gone; the other direction reports that.
            Side::App => Pin::new(sink).poll_shutdown(context).map(|_shut_down| Ok(())),
        }
    }

    /// Reads until the source has no more or the buffer is full, so that one write moves all of it. Ready if there may be more
    /// to read. Bytes read before the source broke are delivered.
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

    /// Writes the buffered bytes, as far as the sink takes them.
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

    pub(super) fn remember(&mut self, written: &[u8]) {
        if self.from == Side::Hop {
            self.reply.note(written);
        }
        self.moved += written.len() as u64;
        if let Some(last) = written.last_chunk::<TAIL>() {
            self.tail = *last;
        } else {
            self.tail.rotate_left(written.len());
            for (kept, byte) in self.tail.iter_mut().rev().zip(written.iter().rev()) {
                *kept = *byte;
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
    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Self::App => "application",
            Self::Hop => "hop",
        }
    }
}

/// TLS buffers bytes before the socket takes them. Pending is no reason to stop: the socket wakes the task when it has room.
fn flush(context: &mut Context<'_>, sink: &mut Stream) -> io::Result<()> {
    match Pin::new(sink).poll_flush(context) {
        Poll::Ready(Err(error)) => Err(error),
        Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
    }
}

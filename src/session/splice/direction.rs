//! One direction of a splice.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Broken, Side};
use crate::net::{Buffer, Stream};

/// How many of the last bytes are remembered.
pub(super) const TAIL: usize = 6;

/// Where bytes go in one direction.
pub(super) struct Direction {
    pub(super) from: Side,
    /// How many bytes were passed on, and the last of them.
    pub(super) moved: u64,
    pub(super) tail: [u8; TAIL],
    /// Held only while bytes are under way.
    buffer: Option<Buffer>,
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

impl Direction {
    pub(super) fn new(from: Side) -> Self {
        Self { from, moved: 0, tail: [0; TAIL], buffer: None, state: State::Open, failure: None }
    }

    /// Whether the source may still say something.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether nothing comes this way any more.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether no byte is between source and sink.
    pub(super) fn is_clear(&self) -> bool {
        self.buffer.is_none()
    }

    /// Moves what can be moved now. Ready once the end was passed on, or a connection broke; both are for good.
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

    pub(super) fn remember(&mut self, written: &[u8]) {
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

/// TLS takes bytes over before the socket does. Pending is no reason to stop: the socket wakes us when it has room.
fn flush(context: &mut Context<'_>, sink: &mut Stream) -> io::Result<()> {
    match Pin::new(sink).poll_flush(context) {
        Poll::Ready(Err(error)) => Err(error),
        Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
    }
}

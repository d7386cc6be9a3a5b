//! Reads a socket in large pieces for TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Buffer, Socket};

/// A socket below TLS. rustls reads 4 KiB at a time, so a record of 16 KiB would cost five system calls; here one
/// system call reads all bytes that have arrived. The buffer returns to the pool as soon as it is empty.
pub struct ReadAhead {
    socket: Socket,
    ahead: Option<Buffer>,
}

impl ReadAhead {
    /// Wraps `socket`; `first` holds bytes of the TLS handshake that were already read from it.
    #[must_use]
    pub fn new(socket: Socket, first: &[u8]) -> Self {
        let mut ahead = None;
        if !first.is_empty() {
            ahead.insert(Buffer::take()).append(first);
        }
        Self { socket, ahead }
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut ahead = match this.ahead.take() {
            Some(ahead) => ahead,
            None => ready!(fill(&mut this.socket, context))?,
        };
        let amount = ahead.unread().len().min(out.remaining());
        out.put_slice(ahead.unread().get(..amount).unwrap_or_default());
        ahead.consumed(amount);
        if !ahead.unread().is_empty() {
            this.ahead = Some(ahead);
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads once into an empty buffer. No bytes mean the end of the stream.
fn fill(socket: &mut Socket, context: &mut Context<'_>) -> Poll<io::Result<Buffer>> {
    let mut ahead = Buffer::take();
    let mut space = ReadBuf::new(ahead.free());
    ready!(Pin::new(socket).poll_read(context, &mut space))?;
    let amount = space.filled().len();
    ahead.filled(amount);
    Poll::Ready(Ok(ahead))
}

impl AsyncWrite for ReadAhead {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}

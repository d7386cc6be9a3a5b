//! Reads a socket in large pieces for TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Buffer, Socket};

/// A socket below TLS. rustls reads 4 KiB at a time, so a record of 16 KiB would cost five system calls; here one
/// system call reads all bytes that have arrived. The buffer returns to the pool as soon as it is empty.
///
/// rustls decrypts in the memory that it reads into and never clears it, so the password of a login would stay there until
/// a larger record overwrites it. When no bytes are left to read, this type zeroes the space that rustls offers to it, which is
/// that memory.
pub struct ReadAhead {
    socket: Socket,
    ahead: Option<Buffer>,
    /// Whether the last read had bytes, so that the memory of rustls is not zeroed.
    has_read: bool,
}

impl ReadAhead {
    /// Wraps `socket`; `first` holds bytes of the TLS handshake that were already read from it.
    #[must_use]
    pub fn new(socket: Socket, first: &[u8]) -> Self {
        let mut ahead = None;
        if !first.is_empty() {
            ahead.insert(Buffer::take()).append(first);
        }
        Self { socket, ahead, has_read: false }
    }

    /// Takes bytes that were read before, else all that have arrived. No bytes mean the end of the stream.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Buffer>> {
        match self.ahead.take() {
            Some(ahead) => Poll::Ready(Ok(ahead)),
            None => fill(&mut self.socket, context),
        }
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let ahead = this.poll_ahead(context);
        let has_bytes = matches!(&ahead, Poll::Ready(Ok(ahead)) if !ahead.unread().is_empty());
        if this.has_read && !has_bytes {
            out.initialize_unfilled().fill(0);
        }
        this.has_read = has_bytes;
        let mut ahead = ready!(ahead)?;
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Reads once into memory that holds bytes of an earlier read.
    async fn read_into(ahead: &mut ReadAhead, memory: &mut [u8]) -> Option<usize> {
        poll_fn(|context| {
            let mut out = ReadBuf::new(memory);
            Poll::Ready(match Pin::new(&mut *ahead).poll_read(context, &mut out) {
                Poll::Ready(read) => {
                    read.unwrap();
                    Some(out.filled().len())
                }
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn the_memory_of_the_reader_is_zeroed_when_nothing_is_left_to_read() {
        let (near, mut far) = duplex(64);
        let mut ahead = ReadAhead::new(Socket::Tunnel(Box::new(near)), b"");
        far.write_all(b"record").await.unwrap();
        let mut memory = *b"hunter2 and more";
        assert_eq!(read_into(&mut ahead, &mut memory).await, Some(6));
        assert_eq!(&memory, b"record2 and more");
        assert_eq!(read_into(&mut ahead, &mut memory).await, None);
        assert_eq!(memory, [0; 16]);
        // Nothing was read in between, so that nothing has to be zeroed.
        memory = *b"hunter2 and more";
        assert_eq!(read_into(&mut ahead, &mut memory).await, None);
        assert_eq!(&memory, b"hunter2 and more");

        far.write_all(b"last").await.unwrap();
        drop(far);
        let mut last = [0; 4];
        ahead.read_exact(&mut last).await.unwrap();
        assert_eq!(read_into(&mut ahead, &mut memory).await, Some(0), "the end");
        assert_eq!(memory, [0; 16]);
    }
}

//! Reading and writing a channel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use futures_util::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::super::error::TunnelError;
use super::{Channel, DATA, MESSAGE, lost};
use crate::catalog::LateRefusal;

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Channel<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unread.is_empty() && !this.ended {
            this.waiting = true;
            ready!(this.poll_message(context)).map_err(late)?;
        }
        this.waiting = false;
        let amount = this.unread.len().min(buffer.remaining());
        buffer.put_slice(&this.unread.split_to(amount));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Channel<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ended || this.shut.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut socket = Pin::new(&mut this.socket);
        ready!(socket.as_mut().poll_ready(context)).map_err(|error| lost(&error))?;
        let bytes = bytes.get(..bytes.len().min(MESSAGE)).unwrap_or_default();
        let mut message = BytesMut::with_capacity(1 + bytes.len());
        message.put_u8(DATA);
        message.put_slice(bytes);
        socket.start_send(Message::Binary(message.freeze())).map_err(|error| lost(&error))?;
        this.keepalive.sent(bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Pings go on while nobody reads, because the application does not.
        if !this.ended
            && this.keepalive.is_due()
            && let Poll::Ready(Err(error)) = this.poll_keepalive(context, this.waiting)
        {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut this.socket).poll_flush(context).map_err(|error| lost(&error))
    }

    /// Ends writing, on this side only; what the pod still sends can be read.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_flush(context)).map_err(|error| lost(&error))?;
        if this.shut.is_none() {
            this.shut = Some(Instant::now());
            this.keepalive.hasten(this.linger);
        }
        Poll::Ready(Ok(()))
    }
}

/// A refusal that arrives after the stream was opened.
fn late(error: io::Error) -> io::Error {
    match error.downcast() {
        Ok(refusal @ TunnelError::PortRefused { .. }) => LateRefusal::into_error(refusal.to_string()),
        Ok(other) => other.into(),
        Err(error) => error,
    }
}

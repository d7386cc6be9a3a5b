//! Reads from and writes to a channel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use futures_util::Sink;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::errors::connection_failed;
use super::{Channel, DATA, MAX_SENT};

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Channel<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unread.is_empty() && !this.ended {
            this.reading = true;
            ready!(this.poll_message(context)).map_err(|error| this.opened_before(error))?;
        }
        this.reading = false;
        let amount = this.unread.len().min(buffer.remaining());
        buffer.put_slice(&this.unread.split_to(amount));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Channel<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ended || this.shutdown_at.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if let Err(error) = ready!(Pin::new(&mut this.socket).poll_ready(context)) {
            return Poll::Ready(Err(this.write_failed(context, &error)));
        }
        let bytes = bytes.get(..bytes.len().min(MAX_SENT)).unwrap_or_default();
        let mut message = BytesMut::with_capacity(1 + bytes.len());
        message.put_u8(DATA);
        message.put_slice(bytes);
        if let Err(error) = Pin::new(&mut this.socket).start_send(Message::Binary(message.freeze())) {
            return Poll::Ready(Err(this.write_failed(context, &error)));
        }
        this.keepalive.bytes_sent(bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The session flushes while the application does not read, so pings go on.
        if !this.ended
            && this.keepalive.is_due()
            && let Poll::Ready(Err(error)) = this.poll_keepalive(context, this.reading)
        {
            return Poll::Ready(Err(error));
        }
        match ready!(Pin::new(&mut this.socket).poll_flush(context)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(this.write_failed(context, &error))),
        }
    }

    /// Ends writing on this side. Data from the pod can still be read.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_flush(context)).map_err(|error| connection_failed(&error))?;
        if this.shutdown_at.is_none() {
            this.shutdown_at = Some(Instant::now());
            this.keepalive.shorten(this.linger);
        }
        Poll::Ready(Ok(()))
    }
}

//! A connection, with or without TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::ProtocolVersion;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::{ReadAhead, Socket};

/// A connection to the application or to the hop.
pub enum Stream {
    /// Cleartext.
    Plain(Socket),
    /// TLS, as server or as client. Boxed, because a TLS session is a hundred times larger than a socket.
    Tls(Box<TlsStream<ReadAhead>>),
}

impl Stream {
    /// Whether the connection uses TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The protocol negotiated by ALPN; `None` without TLS or if the client offered none.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        let Self::Tls(tls) = self else { return None };
        tls.get_ref().1.alpn_protocol()
    }

    /// The name that the other side of an accepted connection expects in the certificate (SNI, RFC 6066 section 3); `None`
    /// without TLS or if it sent none.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        let Self::Tls(tls) = self else { return None };
        match tls.as_ref() {
            TlsStream::Server(server) => server.get_ref().1.server_name(),
            TlsStream::Client(_) => None,
        }
    }

    /// The TLS version, such as `TLSv1.3`; `None` without TLS.
    #[must_use]
    pub fn tls_version(&self) -> Option<&'static str> {
        let Self::Tls(tls) = self else { return None };
        Some(match tls.get_ref().1.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            _ => "unknown",
        })
    }
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        Self::Plain(socket)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

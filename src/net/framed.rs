//! Exact reads and whole writes, for the part of a connection that is a conversation.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Stream;
use crate::secret::wipe;

/// A stream in its startup phase. It reads exactly the bytes a packet says it has and not one more, so nothing that
/// arrives before TLS can be taken for something that arrived inside it (CVE-2021-23214, CVE-2021-23222). It is
/// deliberately no `AsyncRead`.
pub struct Framed {
    stream: Stream,
    out: BytesMut,
}

impl Framed {
    /// Starts the conversation on a stream.
    #[must_use]
    pub fn new(stream: impl Into<Stream>) -> Self {
        Self { stream: stream.into(), out: BytesMut::new() }
    }

    /// Reads exactly `N` bytes. `ErrorKind::UnexpectedEof` if the stream ends first.
    pub async fn read_array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    /// Reads one byte, or nothing at the end of the stream.
    pub async fn read_byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.stream.read(&mut byte).await? == 1).then_some(byte[0]))
    }

    /// Reads exactly `length` bytes, which the caller has checked against a limit.
    pub async fn read_body(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    /// Where encoders append what the next [`Framed::flush`] sends.
    pub fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Sends everything in [`Framed::out`] and wipes it: it may have carried a password.
    pub async fn flush(&mut self) -> io::Result<()> {
        let sent = match self.stream.write_all(&self.out).await {
            Ok(()) => self.stream.flush().await,
            Err(error) => Err(error),
        };
        wipe(&mut self.out);
        sent
    }

    /// The stream as it is.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Ends the conversation; what follows on the stream is for somebody else. Unsent bytes are lost, so flush first.
    #[must_use]
    pub fn into_stream(self) -> Stream {
        self.stream
    }
}

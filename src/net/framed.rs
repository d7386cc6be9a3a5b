//! Exact reads and whole writes, for the startup phase of a connection.

use std::{io, mem};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

use super::Stream;
use crate::secret::{Secret, wipe};

/// A stream in its startup phase. It reads exactly as many bytes as a packet announces, so bytes sent before TLS cannot
/// pass for bytes sent inside it (CVE-2021-23214, CVE-2021-23222). For the same reason it does not implement `AsyncRead`.
pub struct Framed {
    stream: Stream,
    out: Outgoing,
    /// A byte that [`Framed::readable`] has read.
    first: Option<u8>,
    /// How many bytes of `out` a cancelled flush has sent.
    sent: usize,
}

/// Unsent bytes, wiped when dropped: a deadline may end a login in the middle of a packet.
struct Outgoing(BytesMut);

impl Drop for Outgoing {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl Framed {
    /// Wraps a stream.
    #[must_use]
    pub fn new(stream: impl Into<Stream>) -> Self {
        Self { stream: stream.into(), out: Outgoing(BytesMut::new()), first: None, sent: 0 }
    }

    /// Reads exactly `N` bytes. `ErrorKind::UnexpectedEof` if the stream ends first.
    pub async fn read_array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    /// Reads one byte; `None` at the end of the stream.
    pub async fn read_byte(&mut self) -> io::Result<Option<u8>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let mut byte = [0];
        Ok((self.stream.read(&mut byte).await? == 1).then_some(byte[0]))
    }

    /// Reads exactly `length` bytes; the caller checks `length` against a limit. The bytes may be a password, so an
    /// incomplete read is wiped.
    pub async fn read_body(&mut self, length: usize) -> io::Result<Secret> {
        let mut body = Zeroizing::new(vec![0; length]);
        self.read_exact(&mut body).await?;
        Ok(Secret::new(mem::take(&mut *body)))
    }

    /// Resolves when a byte, the end of the stream or an error can be read. Cancel safe.
    pub async fn readable(&mut self) {
        if self.first.is_none() {
            self.first = self.read_byte().await.ok().flatten();
        }
    }

    /// Fills `bytes`. `ErrorKind::UnexpectedEof` if the stream ends first.
    pub async fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let rest = match (bytes.split_first_mut(), self.first) {
            (Some((start, rest)), Some(first)) => {
                (*start, self.first) = (first, None);
                rest
            }
            _ => bytes,
        };
        self.stream.read_exact(rest).await.map(drop)
    }

    /// The buffer that [`Framed::flush`] sends; encoders append to it.
    pub fn out(&mut self) -> &mut BytesMut {
        &mut self.out.0
    }

    /// Sends everything in [`Framed::out`] and wipes it, because it may hold a password. Cancel safe: after a dropped
    /// call the next one continues where it stopped.
    pub async fn flush(&mut self) -> io::Result<()> {
        let flushed = self.send().await;
        wipe(&mut self.out.0);
        self.sent = 0;
        flushed
    }

    async fn send(&mut self) -> io::Result<()> {
        while let Some(rest) = self.out.0.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => self.sent += written,
            }
        }
        self.stream.flush().await
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Ends the startup phase and returns the stream. Unsent bytes are lost, so flush first.
    #[must_use]
    pub fn into_stream(self) -> Stream {
        self.stream
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use tokio::io::DuplexStream;
    use tokio::time::timeout;

    use super::*;
    use crate::net::Socket;
    use crate::secret::tests::memory_at;

    const PASSWORD: &[u8; 32] = b"hunter2 and twenty-five more of.";

    /// How many bytes the allocator overwrites at the beginning of freed memory.
    const OVERWRITTEN: usize = 24;

    fn framed(buffer_size: usize) -> (Framed, DuplexStream) {
        let (near, far) = tokio::io::duplex(buffer_size);
        (Framed::new(Socket::Tunnel(Box::new(near))), far)
    }

    fn encode(framed: &mut Framed) -> usize {
        framed.out().extend_from_slice(&PASSWORD.repeat(8));
        framed.out().as_ptr() as usize
    }

    fn expect_wiped(address: usize) {
        let rest = memory_at(address + OVERWRITTEN, 8 * PASSWORD.len() - OVERWRITTEN);
        assert!(rest.iter().all(|byte| *byte == 0), "{rest:?}");
    }

    #[tokio::test]
    async fn sent_bytes_are_wiped_at_once() {
        let (mut framed, _far) = framed(4096);
        let address = encode(&mut framed);
        framed.flush().await.unwrap();
        assert_eq!(memory_at(address, 8 * PASSWORD.len()), vec![0; 8 * PASSWORD.len()]);
    }

    #[tokio::test]
    async fn a_cancelled_flush_continues_where_it_stopped() {
        let (mut framed, mut far) = framed(4);
        framed.out().extend_from_slice(b"whole ");
        timeout(Duration::from_millis(10), framed.flush()).await.unwrap_err();
        framed.out().extend_from_slice(b"message");
        let mut received = [0; 13];
        let (flushed, read) = tokio::join!(framed.flush(), far.read_exact(&mut received));
        flushed.unwrap();
        read.unwrap();
        assert_eq!(&received, b"whole message");
    }

    #[tokio::test]
    async fn unsent_bytes_are_wiped() {
        let (mut blocked, _far) = framed(100);
        let address = encode(&mut blocked);
        timeout(Duration::from_millis(10), blocked.flush()).await.unwrap_err();
        drop(blocked);
        expect_wiped(address);

        let (mut closed, far) = framed(4096);
        drop(far);
        let address = encode(&mut closed);
        closed.flush().await.unwrap_err();
        expect_wiped(address);

        let (mut unsent, _far) = framed(4096);
        let address = encode(&mut unsent);
        drop(unsent.into_stream());
        expect_wiped(address);
    }
}

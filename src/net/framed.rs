//! Exact reads and whole writes, for the part of a connection that is a conversation.

use std::{io, mem};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

use super::Stream;
use crate::secret::{Secret, wipe};

/// A stream in its startup phase. It reads exactly the bytes a packet says it has and not one more, so nothing that
/// arrives before TLS can be taken for something that arrived inside it (CVE-2021-23214, CVE-2021-23222). It is
/// deliberately no `AsyncRead`.
pub struct Framed {
    stream: Stream,
    out: Outgoing,
    /// How much of it a flush that was cut short has sent.
    sent: usize,
}

/// Bytes on their way out, wiped wherever they are left: a deadline may end a login in the middle of a packet.
struct Outgoing(BytesMut);

impl Drop for Outgoing {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl Framed {
    /// Starts the conversation on a stream.
    #[must_use]
    pub fn new(stream: impl Into<Stream>) -> Self {
        Self { stream: stream.into(), out: Outgoing(BytesMut::new()), sent: 0 }
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

    /// Reads exactly `length` bytes, which the caller has checked against a limit. They may be a password, so what was
    /// read is wiped where the rest does not come.
    pub async fn read_body(&mut self, length: usize) -> io::Result<Secret> {
        let mut body = Zeroizing::new(vec![0; length]);
        self.stream.read_exact(&mut body).await?;
        Ok(Secret::new(mem::take(&mut *body)))
    }

    /// Where encoders append what the next [`Framed::flush`] sends.
    pub fn out(&mut self) -> &mut BytesMut {
        &mut self.out.0
    }

    /// Sends everything in [`Framed::out`] and wipes it: it may have carried a password. May be dropped and called
    /// again; no byte is sent twice by that.
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

    /// What the allocator writes into memory that was given back.
    const OVERWRITTEN: usize = 24;

    fn framed(room: usize) -> (Framed, DuplexStream) {
        let (near, far) = tokio::io::duplex(room);
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
    async fn what_was_sent_is_wiped_at_once() {
        let (mut framed, _far) = framed(4096);
        let address = encode(&mut framed);
        framed.flush().await.unwrap();
        assert_eq!(memory_at(address, 8 * PASSWORD.len()), vec![0; 8 * PASSWORD.len()]);
    }

    #[tokio::test]
    async fn what_was_cut_short_goes_on_where_it_was() {
        let (mut framed, mut far) = framed(4);
        framed.out().extend_from_slice(b"whole ");
        timeout(Duration::from_millis(10), framed.flush()).await.unwrap_err();
        framed.out().extend_from_slice(b"message");
        let mut heard = [0; 13];
        let (flushed, read) = tokio::join!(framed.flush(), far.read_exact(&mut heard));
        flushed.unwrap();
        read.unwrap();
        assert_eq!(&heard, b"whole message");
    }

    #[tokio::test]
    async fn what_could_not_be_sent_is_wiped() {
        let (mut stuck, _far) = framed(100);
        let address = encode(&mut stuck);
        timeout(Duration::from_millis(10), stuck.flush()).await.unwrap_err();
        drop(stuck);
        expect_wiped(address);

        let (mut gone, far) = framed(4096);
        drop(far);
        let address = encode(&mut gone);
        gone.flush().await.unwrap_err();
        expect_wiped(address);

        let (mut unsent, _far) = framed(4096);
        let address = encode(&mut unsent);
        drop(unsent.into_stream());
        expect_wiped(address);
    }
}

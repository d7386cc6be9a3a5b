//! A TCP connection: its peer may pause, but not vanish.

mod options;
#[cfg(target_os = "linux")]
mod tcp_info;
#[cfg(target_os = "linux")]
mod user_timeout;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(target_os = "linux")]
use self::user_timeout::Watch;

/// A TCP connection with no-delay, keepalive and, on Linux, the user timeout. What is written to a peer that is gone
/// ends in `ErrorKind::TimedOut`; one that is well may leave it unread for as long as it likes.
pub struct Tcp {
    stream: TcpStream,
    #[cfg(target_os = "linux")]
    watch: Watch,
}

impl Tcp {
    /// Sets the options. A system that refuses one of them still gets its connection.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        options::apply(&stream);
        Self {
            stream,
            #[cfg(target_os = "linux")]
            watch: Watch::default(),
        }
    }

    /// The socket.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// What is unacknowledged is looked at while there is nothing else to do: a peer that reads needs no watching.
    fn watching<T>(&mut self, context: &mut Context<'_>, polled: Poll<T>) -> Poll<T> {
        #[cfg(target_os = "linux")]
        if polled.is_pending() {
            self.watch.poll(&self.stream, context);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = context;
        polled
    }

    fn written<T>(&mut self, context: &mut Context<'_>, polled: Poll<T>) -> Poll<T> {
        #[cfg(target_os = "linux")]
        self.watch.wrote();
        self.watching(context, polled)
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watching(context, polled)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket2::{SockFilter, SockRef};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    /// Stands for the 90 s of the real thing.
    const LIMIT: Duration = Duration::from_secs(3);
    const INTERVAL: Duration = Duration::from_millis(500);

    /// Returns without a verdict other than "drop" (linux/filter.h, `BPF_RET`).
    const DROP: SockFilter = SockFilter::new(0x06, 0, 0, 0);

    /// A connection of ours through this listener, and its peer.
    async fn pair(listen_on: &str) -> (Tcp, TcpStream) {
        let listener = TcpListener::bind(listen_on).await.unwrap();
        let peer = TcpSocket::new_v4().unwrap();
        let address = ([127, 0, 0, 1], listener.local_addr().unwrap().port()).into();
        let (peer, accepted) = tokio::join!(peer.connect(address), listener.accept());
        let mut ours = Tcp::new(accepted.unwrap().0);
        options::set_user_timeout(&ours.stream, Some(LIMIT));
        ours.watch = Watch::new(LIMIT, INTERVAL);
        (ours, peer.unwrap())
    }

    /// From now on it gets nothing and acknowledges nothing, like a machine without power.
    fn vanish(peer: &TcpStream) {
        SockRef::from(peer).attach_filter(&[DROP]).unwrap();
    }

    /// Writes until the peer, which does not read, has no room. Returns how many bytes that took.
    async fn fill(ours: &mut Tcp) -> usize {
        let mut written = 0;
        while let Ok(amount) = timeout(INTERVAL, ours.write(&[7; 8192])).await {
            written += amount.unwrap();
        }
        written
    }

    /// How the connection ends, which has to be soon, while we wait to read from it.
    async fn end(ours: &mut Tcp, limit: Duration) -> io::ErrorKind {
        timeout(limit, ours.read(&mut [0])).await.expect("it ends").unwrap_err().kind()
    }

    fn user_timeout(ours: &Tcp) -> Duration {
        SockRef::from(&ours.stream).tcp_user_timeout().unwrap().unwrap()
    }

    /// Keeps an eye on the connection, as a session does that waits for a query.
    async fn idle(ours: &mut Tcp, duration: Duration) {
        timeout(duration, ours.read(&mut [0])).await.expect_err("the peer says nothing and stays");
    }

    #[tokio::test]
    async fn a_peer_may_pause_for_longer_than_the_limit() {
        for listen_on in ["127.0.0.1:0", "[::]:0"] {
            let (mut ours, mut peer) = pair(listen_on).await;
            let written = fill(&mut ours).await;
            idle(&mut ours, LIMIT * 2).await;
            assert!(user_timeout(&ours) > LIMIT * 2, "it got more time");
            let reading = tokio::spawn(async move {
                let mut unread = vec![0; written];
                peer.read_exact(&mut unread).await.unwrap();
                (unread, peer)
            });
            idle(&mut ours, LIMIT).await;
            let (read, _peer) = reading.await.unwrap();
            assert!(read.iter().all(|&byte| byte == 7));
            assert_eq!(user_timeout(&ours), LIMIT, "now it is as before");
        }
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_with_data_in_flight_is_given_up() {
        let (mut ours, peer) = pair("127.0.0.1:0").await;
        idle(&mut ours, LIMIT).await;
        vanish(&peer);
        ours.write_all(b"are you there?").await.unwrap();
        let written = Instant::now();
        assert_eq!(end(&mut ours, LIMIT * 4).await, io::ErrorKind::TimedOut);
        assert!(written.elapsed() >= LIMIT, "{:?}", written.elapsed());
    }

    #[tokio::test]
    async fn a_peer_that_goes_while_it_pauses_is_given_up() {
        let (mut ours, peer) = pair("127.0.0.1:0").await;
        fill(&mut ours).await;
        idle(&mut ours, LIMIT).await;
        vanish(&peer);
        assert_eq!(end(&mut ours, LIMIT * 8).await, io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_without_unacknowledged_bytes_is_left_alone() {
        let (mut ours, mut peer) = pair("127.0.0.1:0").await;
        ours.write_all(b"hello").await.unwrap();
        peer.read_exact(&mut [0; 5]).await.unwrap();
        sleep(INTERVAL).await;
        idle(&mut ours, INTERVAL).await;
        assert!(ours.watch.is_quiet());
        ours.write_all(b"hello").await.unwrap();
        assert!(!ours.watch.is_quiet());
    }
}

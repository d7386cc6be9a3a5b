//! A TCP connection whose peer may stop reading for any time, but not vanish.

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
use self::user_timeout::UserTimeout;

/// A TCP connection with `TCP_NODELAY`, keepalive and, on Linux, `TCP_USER_TIMEOUT`. With unacknowledged bytes to a
/// vanished peer it fails with `ErrorKind::TimedOut`. A peer that still acknowledges may leave bytes unread for any time.
pub struct Tcp {
    stream: TcpStream,
    #[cfg(target_os = "linux")]
    user_timeout: UserTimeout,
}

impl Tcp {
    /// Takes a connected socket and sets its options. An option that the system refuses is logged.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        options::apply(&stream);
        Self {
            stream,
            #[cfg(target_os = "linux")]
            user_timeout: UserTimeout::default(),
        }
    }

    /// The tokio socket.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Polls the user timeout, but only if the read or write is pending: a peer that reads needs no extension.
    fn poll_user_timeout<T>(&mut self, context: &mut Context<'_>, polled: Poll<T>) -> Poll<T> {
        #[cfg(target_os = "linux")]
        if polled.is_pending() {
            self.user_timeout.poll(&self.stream, context);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = context;
        polled
    }

    fn after_write<T>(&mut self, context: &mut Context<'_>, polled: Poll<T>) -> Poll<T> {
        #[cfg(target_os = "linux")]
        self.user_timeout.on_write();
        self.poll_user_timeout(context, polled)
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.poll_user_timeout(context, polled)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.after_write(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.after_write(context, polled)
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

    /// Replaces the 90 s of production.
    const LIMIT: Duration = Duration::from_secs(3);
    const INTERVAL: Duration = Duration::from_millis(500);

    /// A filter that drops every packet (linux/filter.h, `BPF_RET`).
    const DROP: SockFilter = SockFilter::new(0x06, 0, 0, 0);

    /// The accepted side of a connection through a listener at `listen_on`, and its peer.
    async fn pair(listen_on: &str) -> (Tcp, TcpStream) {
        let listener = TcpListener::bind(listen_on).await.unwrap();
        let peer = TcpSocket::new_v4().unwrap();
        let address = ([127, 0, 0, 1], listener.local_addr().unwrap().port()).into();
        let (peer, accepted) = tokio::join!(peer.connect(address), listener.accept());
        let mut ours = Tcp::new(accepted.unwrap().0);
        options::set_user_timeout(&ours.stream, Some(LIMIT));
        ours.user_timeout = UserTimeout::new(LIMIT, INTERVAL);
        (ours, peer.unwrap())
    }

    /// Makes the peer drop every packet without an acknowledgement, like a machine without power.
    fn vanish(peer: &TcpStream) {
        SockRef::from(peer).attach_filter(&[DROP]).unwrap();
    }

    /// Writes until the buffers of the peer, which does not read, are full. Returns the number of bytes written.
    async fn fill(ours: &mut Tcp) -> usize {
        let mut written = 0;
        while let Ok(amount) = timeout(INTERVAL, ours.write(&[7; 8192])).await {
            written += amount.unwrap();
        }
        written
    }

    /// The error that a read from the connection ends with within `limit`.
    async fn read_error(ours: &mut Tcp, limit: Duration) -> io::ErrorKind {
        timeout(limit, ours.read(&mut [0])).await.expect("the read ends").unwrap_err().kind()
    }

    fn user_timeout(ours: &Tcp) -> Duration {
        SockRef::from(&ours.stream).tcp_user_timeout().unwrap().unwrap()
    }

    /// Waits for data, as a session does that waits for a query.
    async fn idle(ours: &mut Tcp, duration: Duration) {
        timeout(duration, ours.read(&mut [0])).await.expect_err("the peer sends nothing and stays connected");
    }

    #[tokio::test]
    async fn a_peer_may_pause_for_longer_than_the_limit() {
        for listen_on in ["127.0.0.1:0", "[::]:0"] {
            let (mut ours, mut peer) = pair(listen_on).await;
            let written = fill(&mut ours).await;
            idle(&mut ours, LIMIT * 2).await;
            assert!(user_timeout(&ours) > LIMIT * 2, "the timeout was extended");
            let reading = tokio::spawn(async move {
                let mut unread = vec![0; written];
                peer.read_exact(&mut unread).await.unwrap();
                (unread, peer)
            });
            idle(&mut ours, LIMIT).await;
            let (read, _peer) = reading.await.unwrap();
            assert!(read.iter().all(|&byte| byte == 7));
            assert_eq!(user_timeout(&ours), LIMIT, "the timeout is reset");
        }
    }

    #[tokio::test]
    async fn a_peer_that_vanishes_with_data_in_flight_times_out() {
        let (mut ours, peer) = pair("127.0.0.1:0").await;
        idle(&mut ours, LIMIT).await;
        vanish(&peer);
        ours.write_all(b"are you there?").await.unwrap();
        let written = Instant::now();
        assert_eq!(read_error(&mut ours, LIMIT * 4).await, io::ErrorKind::TimedOut);
        assert!(written.elapsed() >= LIMIT, "{:?}", written.elapsed());
    }

    #[tokio::test]
    async fn a_peer_that_vanishes_while_it_pauses_times_out() {
        let (mut ours, peer) = pair("127.0.0.1:0").await;
        fill(&mut ours).await;
        idle(&mut ours, LIMIT).await;
        vanish(&peer);
        assert_eq!(read_error(&mut ours, LIMIT * 8).await, io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_without_unacknowledged_bytes_is_not_polled() {
        let (mut ours, mut peer) = pair("127.0.0.1:0").await;
        ours.write_all(b"hello").await.unwrap();
        peer.read_exact(&mut [0; 5]).await.unwrap();
        sleep(INTERVAL).await;
        idle(&mut ours, INTERVAL).await;
        assert!(ours.user_timeout.is_idle());
        ours.write_all(b"hello").await.unwrap();
        assert!(!ours.user_timeout.is_idle());
    }
}

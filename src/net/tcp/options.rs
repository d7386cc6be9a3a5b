//! The socket options of every TCP connection.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tracing::debug;

/// TCP keepalive: when an idle connection gets its first probe, how often it gets one after that, and how many
/// unanswered probes end it. A vanished peer is detected within 90 seconds, and the probes keep the entry in a stateful
/// firewall alive. Windows before 10 (1703) does not know the number of probes and always sends ten.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(45);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;

/// `TCP_USER_TIMEOUT` (tcp(7)): how long sent bytes may stay unacknowledged. Keepalive sends no probes while data is in
/// flight. macOS and Windows have similar options that only unsafe code can set; Windows ends a connection after five
/// retransmissions.
#[cfg(target_os = "linux")]
pub(super) const USER_TIMEOUT: Duration = Duration::from_secs(90);

/// Sets `TCP_NODELAY`, keepalive and, on Linux, `TCP_USER_TIMEOUT`. An option that the system refuses is logged, and
/// the connection works without it.
pub(super) fn apply(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let socket = SockRef::from(stream);
    log_error(socket.set_tcp_nodelay(true));
    log_error(socket.set_tcp_keepalive(&keepalive));
    #[cfg(target_os = "linux")]
    set_user_timeout(stream, Some(USER_TIMEOUT));
}

/// Sets `TCP_USER_TIMEOUT`; `None` is the system's own limit.
#[cfg(target_os = "linux")]
pub(super) fn set_user_timeout(stream: &TcpStream, timeout: Option<Duration>) {
    log_error(SockRef::from(stream).set_tcp_user_timeout(timeout));
}

fn log_error(result: io::Result<()>) {
    if let Err(error) = result {
        debug!(%error, "cannot set a socket option");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Address, HostPort, Listener, Socket, dial};

    #[tokio::test]
    async fn accepted_and_opened_connections_have_the_options() {
        let mut listener = Listener::bind(&Address::Tcp(HostPort::new("127.0.0.1", 0))).await.unwrap();
        let address = listener.address().unwrap();
        let (opened, accepted) = tokio::join!(dial(&address, Duration::from_secs(5)), listener.accept());
        for socket in [opened.unwrap(), accepted.socket] {
            let Socket::Tcp(stream) = socket else { panic!("a TCP address") };
            let socket = SockRef::from(stream.stream());
            assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
            #[cfg(target_os = "linux")]
            {
                assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
                assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
                assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
                assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
            }
        }
    }
}

//! Socket options that every connection gets.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tracing::debug;

/// When an idle connection is first probed, how often after that, and after how many silent probes it is dead: a
/// vanished peer is noticed within 90 seconds, and stateful firewalls see traffic more often than they forget. A
/// Windows that does not know the third (before 10, 1703) probes ten times.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(45);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 3;

/// How long sent bytes may stay unacknowledged (tcp(7), `TCP_USER_TIMEOUT`): keepalive does not probe while data is in
/// flight. macOS and Windows have options of other names for it, which only unsafe code can set; Windows gives up after
/// five retransmissions anyway.
#[cfg(target_os = "linux")]
pub(super) const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

/// Sets no-delay, keepalive and, where there is one, the user timeout. A system that refuses one of them still gets
/// its connection.
pub(super) fn apply(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let socket = SockRef::from(stream);
    note(socket.set_tcp_nodelay(true));
    note(socket.set_tcp_keepalive(&keepalive));
    #[cfg(target_os = "linux")]
    set_user_timeout(stream, Some(UNACKNOWLEDGED));
}

/// Sets the user timeout, or takes it off.
#[cfg(target_os = "linux")]
pub(super) fn set_user_timeout(stream: &TcpStream, timeout: Option<Duration>) {
    note(SockRef::from(stream).set_tcp_user_timeout(timeout));
}

fn note(set: io::Result<()>) {
    if let Err(error) = set {
        debug!(%error, "a socket option could not be set");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Address, HostPort, Listener, Socket, dial};

    #[tokio::test]
    async fn every_connection_that_is_accepted_or_opened_has_them() {
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
                assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
            }
        }
    }
}

//! Socket options that every connection gets.

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

/// How long sent bytes may stay unacknowledged in a handshake (tcp(7), `TCP_USER_TIMEOUT`): keepalive does not probe
/// while data is in flight. macOS and Windows have options of other names for it, which only unsafe code can set;
/// Windows gives up after five retransmissions anyway.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(90);

/// Sets no-delay, keepalive and, where there is one, the user timeout. A system that refuses one of them still gets
/// its connection.
pub(super) fn apply(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let socket = SockRef::from(stream);
    let results = [
        socket.set_tcp_nodelay(true),
        socket.set_tcp_keepalive(&keepalive),
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED)),
    ];
    for error in results.into_iter().filter_map(Result::err) {
        debug!(%error, "a socket option could not be set");
    }
}

/// Takes the user timeout off: it also counts the time in which a reader that is well has no room, and one that works
/// on what it got, or is stopped, may pause for as long as it likes. A peer that is gone with data in flight is then
/// given up by the system, on Linux after about 15 minutes (tcp(7), `tcp_retries2`).
pub(super) fn allow_pauses(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(None) {
        debug!(%error, "a reader that pauses for more than 90 s will be taken for dead");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Address, HostPort, Listener, Socket, Stream, dial};

    #[tokio::test]
    async fn every_connection_that_is_accepted_or_opened_has_them() {
        let mut listener = Listener::bind(&Address::Tcp(HostPort::new("127.0.0.1", 0))).await.unwrap();
        let address = listener.address().unwrap();
        let (opened, accepted) = tokio::join!(dial(&address, Duration::from_secs(5)), listener.accept());
        for socket in [opened.unwrap(), accepted.socket] {
            let Socket::Tcp(stream) = socket else { panic!("a TCP address") };
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
            #[cfg(target_os = "linux")]
            {
                assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
                assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
                assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
                assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
                let settled = Stream::Plain(Socket::Tcp(stream));
                settled.allow_pauses();
                let Stream::Plain(Socket::Tcp(stream)) = settled else { unreachable!() };
                assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), None);
            }
        }
    }
}

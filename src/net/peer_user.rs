//! The user of the process at the other end of a connection.

use std::net::SocketAddr;

use super::{PeerUid, Socket};

/// What the kernel knows about the process at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerUser {
    /// Its user.
    Known(PeerUid),
    /// It has closed its end, and with that the kernel no longer knows the user.
    Gone,
    /// It is on another machine, or the system does not identify it.
    Unidentified,
}

impl PeerUser {
    /// That of a connection over a Unix socket (`SO_PEERCRED`), or over loopback TCP on Linux (`sock_diag`).
    #[must_use]
    pub fn of(socket: &Socket) -> Self {
        match socket {
            Socket::Tcp(tcp) => match (tcp.stream().local_addr(), tcp.stream().peer_addr()) {
                (Ok(local), Ok(peer)) if is_loopback(peer) => platform::user_of(peer, local),
                (Ok(_), Ok(_)) => Self::Unidentified,
                // A connection that has ended has no addresses.
                (Err(_), _) | (_, Err(_)) => Self::Gone,
            },
            #[cfg(unix)]
            Socket::Unix(_) => PeerUid::of(socket).map_or(Self::Unidentified, Self::Known),
            Socket::Tunnel(_) => Self::Unidentified,
        }
    }

    /// Whether this system identifies the user of a connection over loopback TCP.
    #[must_use]
    pub fn is_known_over_tcp() -> bool {
        platform::is_available()
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(target_os = "linux")]
mod platform {
    use std::io;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::sync::OnceLock;

    use netlink_packet_sock_diag::inet::ExtensionFlags;

    use super::{PeerUid, PeerUser};
    use crate::net::sock_diag;

    /// `socket` is the address of the peer's socket, `other` that of ours.
    pub(super) fn user_of(socket: SocketAddr, other: SocketAddr) -> PeerUser {
        if !is_available() {
            return PeerUser::Unidentified;
        }
        match sock_diag::query(socket, other, ExtensionFlags::empty()) {
            // A socket without a file has no user, and the kernel reports root (`sock_i_uid` in net/core/sock.c).
            Ok(found) if found.header.inode != 0 => PeerUser::Known(PeerUid(found.header.uid)),
            Ok(_) | Err(_) => PeerUser::Gone,
        }
    }

    /// Found out once, so that a later failure, as for want of a descriptor, lets nobody in.
    pub(super) fn is_available() -> bool {
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(|| try_it().unwrap_or(false))
    }

    fn try_it() -> io::Result<bool> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let found = sock_diag::query(stream.local_addr()?, stream.peer_addr()?, ExtensionFlags::empty())?;
        Ok(found.header.uid == rustix::process::geteuid().as_raw())
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::net::SocketAddr;

    use super::PeerUser;

    pub(super) fn user_of(_socket: SocketAddr, _other: SocketAddr) -> PeerUser {
        PeerUser::Unidentified
    }

    pub(super) fn is_available() -> bool {
        false
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    use tokio::net::TcpListener;

    use super::*;
    use crate::net::Tcp;

    /// The two ends of a connection to a listener on `address`, dialled at this host.
    async fn connection(address: &str, host: &str) -> (TcpStream, Socket) {
        let listener = TcpListener::bind(address).await.unwrap();
        let near = TcpStream::connect((host, listener.local_addr().unwrap().port())).unwrap();
        (near, Socket::Tcp(Tcp::new(listener.accept().await.unwrap().0)))
    }

    #[tokio::test]
    async fn the_kernel_names_the_user_of_a_loopback_connection() {
        let own = PeerUser::Known(PeerUid(rustix::process::geteuid().as_raw()));
        // The last listener is of both families.
        for (address, host) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")] {
            let (_near, socket) = connection(address, host).await;
            assert_eq!(PeerUser::of(&socket), own, "{address}");
        }
    }

    /// The kernel reports such a socket as one of root.
    #[tokio::test]
    async fn a_peer_that_has_closed_is_not_root() {
        let (near, socket) = connection("127.0.0.1:0", "127.0.0.1").await;
        drop(near);
        assert_eq!(PeerUser::of(&socket), PeerUser::Gone);
    }

    /// `cargo test --lib peer_user -- --nocapture` prints the time.
    #[tokio::test]
    async fn a_query_takes_less_than_a_fifth_of_a_millisecond() {
        let (_near, socket) = connection("127.0.0.1:0", "127.0.0.1").await;
        let mut times: Vec<_> = (0..1000)
            .map(|_| {
                let began = Instant::now();
                assert!(matches!(PeerUser::of(&socket), PeerUser::Known(_)));
                began.elapsed()
            })
            .collect();
        times.sort();
        let (median, slow) = (times[500], times[990]);
        println!("the user of a connection: median {median:?}, 99 % below {slow:?}");
        assert!(median < Duration::from_micros(200), "{median:?}");
    }
}

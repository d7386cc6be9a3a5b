//! The user at the other end of a Unix socket.

use super::Socket;

/// The user id of the process at the other end of a Unix socket, as the kernel reports it (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerUid(pub u32);

impl PeerUid {
    /// That of a connection; `None` if it is no Unix socket or the system does not report it.
    pub(super) fn of(socket: &Socket) -> Option<Self> {
        match socket {
            #[cfg(unix)]
            Socket::Unix(stream) => Some(Self(stream.peer_cred().ok()?.uid())),
            Socket::Tcp(_) | Socket::Tunnel(_) => None,
        }
    }

    /// Whether it is the user of this process, or root.
    #[cfg(unix)]
    #[must_use]
    pub fn is_owner_or_root(self) -> bool {
        self.0 == 0 || self.0 == rustix::process::geteuid().as_raw()
    }

    /// Whether it is the user of this process, or root. There are no Unix sockets here.
    #[cfg(not(unix))]
    #[must_use]
    pub fn is_owner_or_root(self) -> bool {
        false
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_names_the_user() {
        let (one, _other) = tokio::net::UnixStream::pair().unwrap();
        let uid = PeerUid::of(&Socket::Unix(one)).unwrap();
        assert_eq!(uid.0, rustix::process::geteuid().as_raw());
        assert!(uid.is_owner_or_root() && PeerUid(0).is_owner_or_root());
        assert!(!PeerUid(uid.0.wrapping_add(4711)).is_owner_or_root());
    }
}

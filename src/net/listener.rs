//! A bound socket that accepts connections, and retries when the system runs short of descriptors.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use metrics::{Counter, counter, describe_counter};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use super::tcp_listeners::TcpListeners;
#[cfg(unix)]
use super::unix_listener::{OwnedUnixListener, require_private_directory};
use super::{Address, Socket, Tcp, descriptors};

const ACCEPT_FAILURES: &str = "rds_auth_proxy_accept_failures_total";

/// Describes the metric to the recorder.
pub fn describe() {
    describe_counter!(ACCEPT_FAILURES, "Attempts to accept a connection that failed, by listener.");
}

/// First and longest pause after an accept that failed for want of descriptors or memory.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A bound socket. Dropping it removes its Unix socket file.
pub struct Listener {
    inner: Inner,
    /// Where it listens, for the log and metrics.
    name: String,
    pause: Duration,
    /// Whether its connections may take the last descriptors of the process.
    uses_reserve: bool,
    /// Dropped after the socket: fields are dropped in their order.
    _when_closed: Option<DropGuard>,
}

enum Inner {
    Tcp(TcpListeners),
    #[cfg(unix)]
    Unix(OwnedUnixListener),
}

/// The other side of an accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over a Unix socket, whose file permissions decide about access.
    Unix,
}

/// A connection that was accepted.
pub struct Accepted {
    /// The connection, with its options set.
    pub socket: Socket,
    /// The other side.
    pub peer: Peer,
}

impl Listener {
    /// Binds every address of the host. Port 0 lets the system choose; [`Listener::address`] returns the chosen one.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        let inner = match address {
            Address::Tcp(address) => Inner::Tcp(TcpListeners::bind(address).await?),
            #[cfg(unix)]
            Address::Unix(path) => Inner::Unix(OwnedUnixListener::bind(path)?),
            #[cfg(not(unix))]
            Address::Unix(_) => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "there are no Unix sockets here"));
            }
        };
        let mut listener =
            Self { inner, name: String::new(), pause: FIRST_PAUSE, uses_reserve: false, _when_closed: None };
        listener.name = listener.address()?.to_string();
        listener.failures().increment(0);
        Ok(listener)
    }

    /// Its connections may take the last descriptors of the process, which those of other listeners leave free.
    #[must_use]
    pub fn with_reserve(self) -> Self {
        Self { uses_reserve: true, ..self }
    }

    /// Cancels this token once the socket is closed, so that its port is free again.
    #[must_use]
    pub fn reporting_close(self, closed: CancellationToken) -> Self {
        Self { _when_closed: Some(closed.drop_guard()), ..self }
    }

    /// Binds a Unix socket in a directory that only this process's user can enter. Creates the directory if there is none.
    pub async fn bind_private(path: &Path) -> io::Result<Self> {
        #[cfg(unix)]
        require_private_directory(path)?;
        Self::bind(&Address::Unix(path.to_owned())).await
    }

    /// Where it listens, with the real port.
    pub fn address(&self) -> io::Result<Address> {
        match &self.inner {
            Inner::Tcp(listeners) => Ok(Address::Tcp(listeners.address().clone())),
            #[cfg(unix)]
            Inner::Unix(listener) => Ok(Address::Unix(listener.path.clone())),
        }
    }

    /// The next connection. Skips a connection that died before it was accepted. When the system has no
    /// descriptor or memory left, it retries after a pause that grows each time.
    pub async fn accept(&mut self) -> Accepted {
        loop {
            match self.try_accept().await {
                Ok(accepted) => {
                    self.pause = FIRST_PAUSE;
                    return accepted;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.failures().increment(1);
                    let Self { name, pause, .. } = &*self;
                    warn!(address = name, %error, ?pause, "accept failed; retrying after a pause");
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn failures(&self) -> Counter {
        counter!(ACCEPT_FAILURES, "listener" => self.name.clone())
    }

    async fn try_accept(&mut self) -> io::Result<Accepted> {
        match &mut self.inner {
            Inner::Tcp(listeners) => {
                if !self.uses_reserve {
                    listeners.first().map_or(Ok(()), descriptors::check)?;
                }
                let (stream, peer) = listeners.accept().await?;
                // A dual-stack listener reports IPv4 peers as `::ffff:192.0.2.7`, which no other log has.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                Ok(Accepted { socket: Socket::Tcp(Tcp::new(stream)), peer: Peer::Tcp(peer) })
            }
            #[cfg(unix)]
            Inner::Unix(listener) => {
                let (stream, _) = listener.inner.accept().await?;
                Ok(Accepted { socket: Socket::Unix(stream), peer: Peer::Unix })
            }
        }
    }
}

impl Peer {
    /// The network that limits per peer count by: the IPv4 address, or the first 64 bits of an IPv6 address, since a host
    /// chooses the rest freely (RFC 4291, section 2.5.1). `None` for a Unix socket.
    #[must_use]
    pub fn network(&self) -> Option<IpAddr> {
        let Self::Tcp(address) = self else { return None };
        Some(match address.ip() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix => formatter.write_str("unix"),
        }
    }
}

/// Errors that accept(2) reports for a connection that is already gone.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::net::{HostPort, dial};

    #[test]
    fn an_ipv6_peer_counts_by_its_first_64_bits() {
        let network = |address: &str| Peer::Tcp(address.parse().unwrap()).network().unwrap().to_string();
        assert_eq!(network("192.0.2.7:1"), "192.0.2.7");
        assert_eq!(network("[2001:db8:1:2:3:4:5:6]:1"), "2001:db8:1:2::");
        assert_eq!(network("[2001:db8:1:2:ffff::]:9"), "2001:db8:1:2::");
    }

    #[tokio::test]
    async fn an_ipv4_peer_of_a_dual_stack_listener_is_named_as_ipv4() {
        let mut listener = Listener::bind(&"[::]:0".parse().unwrap()).await.unwrap();
        let Address::Tcp(bound) = listener.address().unwrap() else { panic!() };
        let address = Address::Tcp(HostPort::new("127.0.0.1", bound.port));
        let (opened, accepted) = tokio::join!(dial(&address, Duration::from_secs(5)), listener.accept());
        let Socket::Tcp(opened) = opened.unwrap() else { panic!() };
        assert_eq!(accepted.peer.to_string(), opened.stream().local_addr().unwrap().to_string());
    }

    #[tokio::test]
    async fn a_unix_socket_is_private_and_cleans_up() {
        let directory = tempfile::tempdir().unwrap();
        let address = Address::Unix(directory.path().join(".s.PGSQL.5432"));
        let mut listener = Listener::bind(&address).await.unwrap();
        assert_eq!(listener.address().unwrap(), address);
        let Address::Unix(path) = &address else { panic!() };
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let connected = tokio::net::UnixStream::connect(path).await;
        assert_eq!(listener.accept().await.peer, Peer::Unix);
        drop(connected);

        let second = Listener::bind(&address).await.err().unwrap();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse, "a socket in use stays");
        drop(listener);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

        drop(std::os::unix::net::UnixListener::bind(path).unwrap());
        Listener::bind(&address).await.expect("one without a listener is replaced");
    }
}

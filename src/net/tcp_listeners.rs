//! TCP sockets that listen on every address of a host name: applications choose among them by rules of their own.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream, lookup_host};

use super::HostPort;

/// How often a port is chosen that is free on the first address, and must be free on the others.
const MAX_CHOICES: usize = 16;

/// The sockets of one host, all on the same port.
pub(super) struct TcpListeners {
    listeners: Vec<TcpListener>,
    /// The one whose turn it is, so that none waits for another.
    next: usize,
    address: HostPort,
}

impl TcpListeners {
    /// Binds every address of the host, like PostgreSQL's `listen_addresses`. An address that this machine does not have
    /// is left out if there is another, such as `::1` in a container without IPv6. One that is in use is an error: an
    /// application could reach the program that uses it.
    pub(super) async fn bind(address: &HostPort) -> io::Result<Self> {
        let mut addresses = Vec::new();
        for found in lookup_host((address.host.as_str(), address.port)).await? {
            if !addresses.contains(&found) {
                addresses.push(found);
            }
        }
        for _ in 1..MAX_CHOICES {
            match bind_all(&addresses, address).await {
                Err(error) if error.kind() == ErrorKind::AddrInUse && address.port == 0 => {}
                bound => return bound,
            }
        }
        bind_all(&addresses, address).await
    }

    /// The address that was bound, or the name if there are several, with the real port.
    pub(super) fn address(&self) -> &HostPort {
        &self.address
    }

    /// One of the sockets.
    pub(super) fn first(&self) -> Option<&TcpListener> {
        self.listeners.first()
    }

    pub(super) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| {
            for _ in 0..self.listeners.len() {
                self.next = (self.next + 1) % self.listeners.len();
                let listener = self.listeners.get(self.next);
                if let Some(Poll::Ready(accepted)) = listener.map(|listener| listener.poll_accept(context)) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Where the port is 0, the first socket chooses that of all.
async fn bind_all(addresses: &[SocketAddr], wanted: &HostPort) -> io::Result<TcpListeners> {
    let mut port = wanted.port;
    let (mut listeners, mut missing) = (Vec::new(), None);
    for address in addresses {
        match TcpListener::bind(SocketAddr::new(address.ip(), port)).await {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if is_missing(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    let none = || missing.unwrap_or_else(|| io::Error::new(ErrorKind::NotFound, "the name has no address"));
    let host = match listeners.as_slice() {
        [] => return Err(none()),
        [only] => only.local_addr()?.ip().to_string(),
        [_, ..] => wanted.host.clone(),
    };
    Ok(TcpListeners { listeners, next: 0, address: HostPort::new(&host, port) })
}

/// Whether this machine has no such address or no such protocol.
fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error().is_some_and(|code| NO_PROTOCOL.contains(&code))
}

/// `EAFNOSUPPORT` of Linux and macOS, and `WSAEAFNOSUPPORT`.
const NO_PROTOCOL: [i32; 3] = [97, 47, 10047];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::{Address, Socket, dial};

    #[tokio::test]
    async fn every_address_of_a_name_is_bound_to_one_port() {
        let addresses = ["127.0.0.1:0", "127.0.0.2:0", "192.0.2.1:0"].map(|address| address.parse().unwrap());
        let mut bound = bind_all(&addresses, &HostPort::new("localhost", 0)).await.unwrap();
        let port = bound.address().port;
        assert_eq!(bound.address(), &HostPort::new("localhost", port));
        for host in ["127.0.0.1", "127.0.0.2", "127.0.0.1"] {
            let address = Address::Tcp(HostPort::new(host, port));
            let (opened, accepted) = tokio::join!(dial(&address, Duration::from_secs(5)), bound.accept());
            let Socket::Tcp(opened) = opened.unwrap() else { panic!() };
            assert_eq!(accepted.unwrap().1, opened.stream().local_addr().unwrap());
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error_and_a_missing_one_is_not() {
        let other = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let wanted = HostPort::new("localhost", other.local_addr().unwrap().port());
        let addresses = |list: &[&str]| {
            list.iter().map(|host| SocketAddr::new(host.parse().unwrap(), wanted.port)).collect::<Vec<_>>()
        };
        let error = bind_all(&addresses(&["127.0.0.3", "127.0.0.2"]), &wanted).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = bind_all(&addresses(&["192.0.2.1"]), &wanted).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        let bound = bind_all(&addresses(&["192.0.2.1", "127.0.0.3"]), &wanted).await.unwrap();
        assert_eq!(bound.address().host, "127.0.0.3");
    }
}

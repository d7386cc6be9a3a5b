//! Opens TCP and Unix socket connections with a deadline.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Address, HostPort, Socket, Tcp, descriptors};

/// Connects within `limit`. Tries the addresses that the name resolves to one after the other.
///
/// The error names the reason; if the name has several addresses, the reason for each. `ErrorKind::TimedOut` after
/// `limit`.
pub async fn dial(address: &Address, limit: Duration) -> io::Result<Socket> {
    let deadline = Instant::now() + limit;
    let attempt = async {
        match address {
            Address::Tcp(address) => dial_tcp(address, deadline).await,
            #[cfg(unix)]
            Address::Unix(path) => tokio::net::UnixStream::connect(path).await.map(Socket::Unix),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "Unix sockets are not supported on this platform",
            )),
        }
    };
    timeout_at(deadline, attempt).await.unwrap_or_else(|_| Err(timed_out(limit)))
}

async fn dial_tcp(address: &HostPort, deadline: Instant) -> io::Result<Socket> {
    let resolved: Vec<_> = lookup_host((address.host.as_str(), address.port)).await?.collect();
    dial_first(&resolved, deadline).await
}

/// Connects to the first of these addresses that accepts.
async fn dial_first(candidates: &[SocketAddr], deadline: Instant) -> io::Result<Socket> {
    let mut failed = Vec::new();
    for (index, &candidate) in candidates.iter().enumerate() {
        // An address that drops packets must leave time for the ones after it.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(candidates.len() - index).unwrap_or(1);
        #[expect(clippy::disallowed_methods, reason = "the only call that sets deadline and socket options")]
        let connecting = tokio::net::TcpStream::connect(candidate);
        match timeout(share, connecting).await {
            Ok(Ok(stream)) => {
                descriptors::check(&stream)?;
                return Ok(Socket::Tcp(Tcp::new(stream)));
            }
            Ok(Err(error)) => failed.push((candidate, error)),
            Err(_) => failed.push((candidate, timed_out(share))),
        }
    }
    Err(all_failed(failed))
}

/// The error of the only address, or a list with the error of each: a dropped packet and a refused connection have
/// different fixes.
fn all_failed(mut failed: Vec<(SocketAddr, io::Error)>) -> io::Error {
    let Some((_, last)) = failed.last() else {
        return io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    };
    let kind = last.kind();
    if failed.len() == 1
        && let Some((_, only)) = failed.pop()
    {
        return only;
    }
    let each: Vec<_> = failed.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    io::Error::new(kind, each.join("; "))
}

fn timed_out(after: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {:.1} s", after.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use std::any::Any;

    #[cfg(target_os = "linux")]
    use tokio::net::TcpStream;
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A loopback port, with the sockets that make it accept, refuse or drop.
    struct Port {
        address: SocketAddr,
        _sockets: Box<dyn Any>,
    }

    impl Port {
        async fn accepting() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            Self { address: listener.local_addr().unwrap(), _sockets: Box::new(listener) }
        }

        /// Is bound, but does not listen.
        fn refusing() -> Self {
            let socket = bound();
            Self { address: socket.local_addr().unwrap(), _sockets: Box::new(socket) }
        }

        /// Has a full backlog, so Linux drops further packets (listen(2)).
        #[cfg(target_os = "linux")]
        async fn silent() -> Self {
            let listener = bound().listen(0).unwrap();
            let address = listener.local_addr().unwrap();
            let mut backlog = Vec::new();
            while let Ok(queued) = timeout(Duration::from_millis(200), connect(address)).await {
                backlog.push(queued.unwrap());
            }
            Self { address, _sockets: Box::new((listener, backlog)) }
        }
    }

    fn bound() -> TcpSocket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        socket
    }

    #[cfg(target_os = "linux")]
    async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        TcpSocket::new_v4().unwrap().connect(address).await
    }

    /// Dials the ports in this order. Returns the port that accepted and the time it took.
    async fn try_all(ports: &[&Port], limit: Duration) -> (io::Result<SocketAddr>, Duration) {
        let began = Instant::now();
        let addresses: Vec<_> = ports.iter().map(|port| port.address).collect();
        let reached = dial_first(&addresses, began + limit).await;
        let took = began.elapsed();
        let Ok(Socket::Tcp(stream)) = reached else { return (reached.map(|_| unreachable!()), took) };
        (Ok(stream.stream().peer_addr().unwrap()), took)
    }

    #[tokio::test]
    async fn the_next_address_is_tried_after_a_refusal() {
        let (first, second) = (Port::refusing(), Port::accepting().await);
        let (reached, _) = try_all(&[&first, &second], Duration::from_secs(20)).await;
        assert_eq!(reached.unwrap(), second.address);
    }

    #[tokio::test]
    async fn the_first_address_that_accepts_is_used() {
        let (first, second) = (Port::accepting().await, Port::accepting().await);
        let (reached, _) = try_all(&[&first, &second], Duration::from_secs(20)).await;
        assert_eq!(reached.unwrap(), first.address);
    }

    #[tokio::test]
    async fn the_error_names_each_address_that_refused() {
        let (first, second) = (Port::refusing(), Port::refusing());
        let (refused, _) = try_all(&[&first, &second], Duration::from_secs(20)).await;
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        let parts: Vec<_> = text.split("; ").collect();
        for (part, port) in parts.iter().zip([&first, &second]) {
            assert!(part.starts_with(&format!("{}: ", port.address)), "{text}");
            assert!(part.contains("refused"), "{text}");
        }
        assert_eq!(parts.len(), 2, "{text}");
        // A single address is not listed.
        let (refused, _) = try_all(&[&first], Duration::from_secs(20)).await;
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("refused") && !text.contains("127.0.0.1"), "{text}");
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_an_error() {
        let (refused, _) = try_all(&[], Duration::from_secs(20)).await;
        assert_eq!(refused.unwrap_err().to_string(), "the name has no address");
    }

    /// Each of three addresses gets a third of the time.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn silent_addresses_leave_time_for_the_next_ones() {
        let (first, second, third) = (Port::silent().await, Port::silent().await, Port::accepting().await);
        let limit = Duration::from_secs(6);
        let (reached, took) = try_all(&[&first, &second, &third], limit).await;
        assert_eq!(reached.unwrap(), third.address);
        assert!(took >= limit / 3 * 2 && took < limit, "{took:?}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_last_address_gets_the_remaining_time() {
        let (first, second) = (Port::refusing(), Port::silent().await);
        let limit = Duration::from_secs(2);
        let (silent, took) = try_all(&[&first, &second], limit).await;
        let error = silent.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let text = error.to_string();
        assert!(text.contains("refused") && text.ends_with("no answer within 2.0 s"), "{text}");
        // Linux itself would try for two minutes.
        assert!(took >= limit && took < limit * 10, "{took:?}");
    }

    /// With name resolution.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn dialling_a_silent_host_ends_at_the_deadline() {
        let port = Port::silent().await;
        let address = Address::Tcp(HostPort::new("127.0.0.1", port.address.port()));
        let began = Instant::now();
        let error = dial(&address, Duration::from_secs(1)).await.err().expect("the port is silent");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::TimedOut, "no answer within 1.0 s")
        );
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

//! Opens connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Address, HostPort, Socket, Tcp};

/// Connects within `deadline`, trying every address the name resolves to in turn.
///
/// Errors say why; where the name has several addresses, why for each of them. `ErrorKind::TimedOut` when time ran out.
pub async fn dial(address: &Address, deadline: Duration) -> io::Result<Socket> {
    let until = Instant::now() + deadline;
    let attempt = async {
        match address {
            Address::Tcp(address) => dial_tcp(address, until).await,
            #[cfg(unix)]
            Address::Unix(path) => tokio::net::UnixStream::connect(path).await.map(Socket::Unix),
            #[cfg(not(unix))]
            Address::Unix(_) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "there are no Unix sockets here"))
            }
        }
    };
    timeout_at(until, attempt).await.unwrap_or_else(|_| Err(timed_out(deadline)))
}

async fn dial_tcp(address: &HostPort, until: Instant) -> io::Result<Socket> {
    let resolved: Vec<_> = lookup_host((address.host.as_str(), address.port)).await?.collect();
    dial_first(&resolved, until).await
}

/// Connects to the first of these that answers.
async fn dial_first(candidates: &[SocketAddr], until: Instant) -> io::Result<Socket> {
    let mut failed = Vec::new();
    for (index, &candidate) in candidates.iter().enumerate() {
        // An address that swallows packets must leave time for those after it.
        let left = until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(candidates.len() - index).unwrap_or(1);
        #[expect(clippy::disallowed_methods, reason = "this is the one place that sets deadline and options")]
        let connecting = tokio::net::TcpStream::connect(candidate);
        match timeout(share, connecting).await {
            Ok(Ok(stream)) => return Ok(Socket::Tcp(Tcp::new(stream))),
            Ok(Err(error)) => failed.push((candidate, error)),
            Err(_) => failed.push((candidate, timed_out(share))),
        }
    }
    Err(none_answered(failed))
}

/// The reason of the only address; of several, each with its own: one that swallows packets and one that refuses are
/// mended in different places.
fn none_answered(mut failed: Vec<(SocketAddr, io::Error)>) -> io::Error {
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

    /// A port of loopback, and what makes it behave as it does.
    struct Port {
        address: SocketAddr,
        _held: Box<dyn Any>,
    }

    impl Port {
        async fn answering() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            Self { address: listener.local_addr().unwrap(), _held: Box::new(listener) }
        }

        /// It is bound, but nobody listens.
        fn refusing() -> Self {
            let socket = bound();
            Self { address: socket.local_addr().unwrap(), _held: Box::new(socket) }
        }

        /// Its backlog is full, so that Linux drops what else comes (listen(2)).
        #[cfg(target_os = "linux")]
        async fn silent() -> Self {
            let listener = bound().listen(0).unwrap();
            let address = listener.local_addr().unwrap();
            let mut waiting = Vec::new();
            while let Ok(queued) = timeout(Duration::from_millis(200), connect(address)).await {
                waiting.push(queued.unwrap());
            }
            Self { address, _held: Box::new((listener, waiting)) }
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

    /// Tries the ports in this order, and says which of them was reached and how long it took.
    async fn try_all(ports: &[&Port], limit: Duration) -> (io::Result<SocketAddr>, Duration) {
        let began = Instant::now();
        let addresses: Vec<_> = ports.iter().map(|port| port.address).collect();
        let reached = dial_first(&addresses, began + limit).await;
        let took = began.elapsed();
        let Ok(Socket::Tcp(stream)) = reached else { return (reached.map(|_| unreachable!()), took) };
        (Ok(stream.stream().peer_addr().unwrap()), took)
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_followed_by_the_next() {
        let (first, second) = (Port::refusing(), Port::answering().await);
        let (reached, _) = try_all(&[&first, &second], Duration::from_secs(20)).await;
        assert_eq!(reached.unwrap(), second.address);
    }

    #[tokio::test]
    async fn the_first_that_answers_is_taken() {
        let (first, second) = (Port::answering().await, Port::answering().await);
        let (reached, _) = try_all(&[&first, &second], Duration::from_secs(20)).await;
        assert_eq!(reached.unwrap(), first.address);
    }

    #[tokio::test]
    async fn where_all_refuse_each_is_named_with_its_reason() {
        let (first, second) = (Port::refusing(), Port::refusing());
        let (refused, _) = try_all(&[&first, &second], Duration::from_secs(20)).await;
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let said = error.to_string();
        let parts: Vec<_> = said.split("; ").collect();
        for (part, port) in parts.iter().zip([&first, &second]) {
            assert!(part.starts_with(&format!("{}: ", port.address)), "{said}");
            assert!(part.contains("refused"), "{said}");
        }
        assert_eq!(parts.len(), 2, "{said}");
        // A name with one address, as most have, needs no list.
        let (refused, _) = try_all(&[&first], Duration::from_secs(20)).await;
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("refused") && !said.contains("127.0.0.1"), "{said}");
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_told() {
        let (refused, _) = try_all(&[], Duration::from_secs(20)).await;
        assert_eq!(refused.unwrap_err().to_string(), "the name has no address");
    }

    /// Each of three has a third of the time, so that the last is reached before the first would have been given up.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn addresses_that_say_nothing_leave_time_for_those_behind_them() {
        let (first, second, third) = (Port::silent().await, Port::silent().await, Port::answering().await);
        let limit = Duration::from_secs(6);
        let (reached, took) = try_all(&[&first, &second, &third], limit).await;
        assert_eq!(reached.unwrap(), third.address);
        assert!(took >= limit / 3 * 2 && took < limit, "{took:?}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_last_address_has_all_the_time_that_is_left_and_no_more() {
        let (first, second) = (Port::refusing(), Port::silent().await);
        let limit = Duration::from_secs(2);
        let (silent, took) = try_all(&[&first, &second], limit).await;
        let error = silent.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let said = error.to_string();
        assert!(said.contains("refused") && said.ends_with("no answer within 2.0 s"), "{said}");
        // Linux itself would go on for two minutes.
        assert!(took >= limit && took < limit * 10, "{took:?}");
    }

    /// The whole way, from the name on.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_silent_host_is_given_up_at_the_deadline() {
        let port = Port::silent().await;
        let address = Address::Tcp(HostPort::new("127.0.0.1", port.address.port()));
        let began = Instant::now();
        let error = dial(&address, Duration::from_secs(1)).await.err().expect("nobody answers");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::TimedOut, "no answer within 1.0 s")
        );
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

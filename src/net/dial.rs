//! Opens connections.

use std::io;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

use super::{Address, HostPort, Socket, options};

/// Connects within `deadline`, trying every address the name resolves to in turn.
///
/// Errors name what failed and, after several tries, the last reason; `ErrorKind::TimedOut` when time ran out.
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
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (index, candidate) in resolved.iter().enumerate() {
        // An address that swallows packets must leave time for those after it.
        let left = until.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(resolved.len() - index).unwrap_or(1);
        #[expect(clippy::disallowed_methods, reason = "this is the one place that sets deadline and options")]
        let connecting = tokio::net::TcpStream::connect(candidate);
        match tokio::time::timeout(share, connecting).await {
            Ok(Ok(stream)) => {
                options::apply(&stream);
                return Ok(Socket::Tcp(stream));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = timed_out(share),
        }
    }
    Err(last)
}

fn timed_out(after: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {:.1} s", after.as_secs_f64()))
}

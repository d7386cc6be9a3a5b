//! `rds-auth-proxy healthcheck`: asks a proxy on this machine whether it is ready, for container runtimes whose images
//! have no shell and no curl.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::args::HealthcheckArguments;
use super::failure::Failure;
use super::start;
use crate::config::Mode;
use crate::net::{Address, HostPort};

/// How long the proxy may take to answer. Docker's own limit is 30 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than the head of any answer.
const ENOUGH: u64 = 4096;

/// Succeeds if `/readyz` says so, or, without an admin listener, if the proxy takes connections.
pub(super) fn run(arguments: &HealthcheckArguments) -> Result<(), Failure> {
    let (_, config) = start::configuration(arguments.configfile.as_deref(), Mode::Server)?;
    let asked = match (&config.admin, &config.listen) {
        (Some(Address::Tcp(admin)), _) => ready(admin),
        (_, Address::Tcp(listen)) => connect(listen).map(drop),
        (_, Address::Unix(path)) => path.metadata().map(drop),
    };
    asked.map_err(|error| Failure::Runtime(format!("the proxy is not ready: {error}")))
}

fn ready(admin: &HostPort) -> io::Result<()> {
    let mut stream = connect(admin)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ENOUGH).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    if answer.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(io::Error::other(answer.lines().last().unwrap_or("it does not answer").to_owned()))
}

/// A proxy that listens everywhere listens on loopback too.
fn connect(address: &HostPort) -> io::Result<TcpStream> {
    let host = match address.host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for candidate in (host, address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

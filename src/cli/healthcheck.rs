//! `healthcheck`: checks whether a proxy on this machine is ready, for container images that have no shell and no curl.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use super::args::{HealthcheckArguments, existing_credentials};
use crate::app::credentials::Source;
use crate::app::start;
use crate::config::credentials::{Names, load_address};
use crate::config::{self, ConfigError, SearchOrder};
use crate::net::{Address, HostPort};
use crate::process::CommandError;

/// How long the proxy may take to answer. Docker's own limit is 30 s.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How many bytes of the answer are read: more than it has.
const ANSWER_BYTES: u64 = 4096;

/// As the server, which the health checks of containers are for.
const ORDER: SearchOrder = SearchOrder::WorkingDirectoryFirst;

/// Succeeds if `/readyz` answers 200, or, without an admin listener, if the proxy accepts connections. Where there is no
/// configuration of a proxy but one of `credentials`, the check is that of `credentials`.
pub(super) fn run(arguments: &HealthcheckArguments) -> Result<(), CommandError> {
    let (path, names) = (arguments.configfile.as_deref(), Names::of_process());
    if path.is_none()
        && let Err(ConfigError::NotFound { .. }) = config::find(None, ORDER)
        && let Some(path) = existing_credentials(&names)
    {
        return check_credentials(&path, &names);
    }
    let (_, addresses) = start::find_and_read(path, ORDER, config::load_addresses)?;
    let answer = match &addresses.admin {
        Some(Address::Tcp(admin)) => check_answer(admin, "/readyz"),
        Some(Address::Unix(_)) | None => check_accepts(&addresses.listen),
    };
    answer.map_err(|error| CommandError::Runtime(format!("the proxy is not ready: {error}")))
}

/// Succeeds if `/health` answers 200 at the address of this configuration.
pub(super) fn of_credentials(source: &Source) -> Result<(), CommandError> {
    check_credentials(&source.path, &source.names)
}

fn check_credentials(path: &Path, names: &Names) -> Result<(), CommandError> {
    let address = load_address(path, names).map_err(CommandError::usage)?;
    check_answer(&address, "/health")
        .map_err(|error| CommandError::Runtime(format!("credentials are not served at {address}: {error}")))
}

/// Succeeds if one of the listeners accepts connections.
fn check_accepts(addresses: &[Address]) -> io::Result<()> {
    let mut last = Ok(());
    for address in addresses {
        last = match address {
            Address::Tcp(address) => connect(address).map(drop),
            Address::Unix(path) => path.metadata().map(drop),
        };
        if last.is_ok() {
            break;
        }
    }
    last
}

/// Succeeds if the answer has status 200.
fn check_answer(address: &HostPort, path: &str) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    if answer.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(io::Error::other(answer.lines().last().unwrap_or("it does not answer").to_owned()))
}

fn connect(address: &HostPort) -> io::Result<TcpStream> {
    let host = address.reachable_host();
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for candidate in (host, address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listeners_of(text: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        std::fs::write(&path, text).unwrap();
        config::load_addresses(&path).unwrap().listen.iter().map(Address::to_string).collect()
    }

    #[test]
    fn the_addresses_of_a_client_are_tried_too() {
        let upstream = "upstream_proxies: {default: {host: 'proxy.example.com:8000'}}";
        assert_eq!(listeners_of(upstream), ["0.0.0.0:8000", "127.0.0.1:8001"]);
        assert_eq!(
            listeners_of(&format!("proxy: {{listen_addr: '127.0.0.1:5555'}}\n{upstream}")),
            ["127.0.0.1:5555"]
        );
        assert_eq!(listeners_of("rds: {enabled: false}"), ["0.0.0.0:8000"]);
    }

    #[test]
    fn one_listener_that_accepts_is_enough() {
        let closed = [Address::Unix("/nowhere/socket".into())];
        check_accepts(&closed).unwrap_err();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let [closed] = closed;
        check_accepts(&[closed, open]).unwrap();
    }
}

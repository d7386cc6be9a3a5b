//! Addresses: `HOST:PORT` and `unix:/path`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The longest DNS name in bytes (RFC 1035, section 2.3.4).
const MAX_HOST_LENGTH: usize = 253;

/// An address to listen on or connect to: TCP or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `HOST:PORT`
    Tcp(HostPort),
    /// `unix:/path`
    Unix(PathBuf),
}

/// The file name of a Unix socket for libpq is this and the port (PostgreSQL manual, "libpq", `host`).
pub const SOCKET_PREFIX: &str = ".s.PGSQL.";

impl Address {
    /// The port of an address; that of a Unix socket is in its file name. Absent if libpq does not look for a file of this name.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port),
            Self::Unix(path) => path.file_name()?.to_str()?.strip_prefix(SOCKET_PREFIX)?.parse().ok(),
        }
    }

    /// The address with this port: on the same host, or the socket that libpq finds in the same directory.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        match self {
            Self::Tcp(address) => Self::Tcp(HostPort { host: address.host.clone(), port }),
            Self::Unix(path) => Self::Unix(path.with_file_name(format!("{SOCKET_PREFIX}{port}"))),
        }
    }
}

/// A host name or IP address with a port. Host names ignore case, as in DNS.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// A lower-case DNS name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// The text is not an address. Keeps its first 253 characters.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address of the form HOST:PORT or unix:/path")]
pub struct InvalidAddress {
    text: String,
}

impl InvalidAddress {
    /// Cuts the text, because it may come from an unauthenticated peer and goes to the log.
    fn new(text: &str) -> Self {
        Self { text: text.chars().take(MAX_HOST_LENGTH).collect() }
    }
}

impl HostPort {
    /// Takes host and port as they are and lower-cases the host.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_ascii_lowercase(), port }
    }

    /// The host at which a program on this machine reaches a listener on this address: a loopback address in place of
    /// the wildcard address, to which not every system can connect.
    #[must_use]
    pub fn reachable_host(&self) -> &str {
        match self.ip() {
            Some(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1",
            Some(IpAddr::V6(address)) if address.is_unspecified() => "::1",
            Some(_) | None => &self.host,
        }
    }

    /// The host as an IP address; an IPv4 address in IPv6 form (`::ffff:192.0.2.7`) as IPv4. Absent if it is a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok().map(|address: IpAddr| address.to_canonical())
    }
}

impl FromStr for HostPort {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress::new(text);
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().map_err(|_| invalid())?;
        let bracketed = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        let has_valid_colons = bracketed.is_some() || !host.contains(':');
        let printable = host.chars().all(|character| character.is_ascii_graphic());
        if host.is_empty()
            || host.len() > MAX_HOST_LENGTH
            || !has_valid_colons
            || !printable
            || host.contains(['/', '[', ']', '@'])
        {
            return Err(invalid());
        }
        Ok(Self::new(host, port))
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(InvalidAddress::new(text)),
            None => text.parse().map(Self::Tcp),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_parsed_and_printed() {
        for text in ["db.example.com:5432", "127.0.0.1:1", "[::1]:65535"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        assert_eq!("DB.Example.com:5432".parse::<HostPort>().unwrap().host, "db.example.com");
    }

    #[test]
    fn a_name_longer_than_dns_allows_is_refused_and_cut_in_the_error() {
        assert!(format!("{}:1", "a".repeat(253)).parse::<HostPort>().is_ok());
        let refused = format!("{}:1", "a".repeat(9000)).parse::<HostPort>().unwrap_err();
        assert!(refused.to_string().len() < 400, "{refused}");
    }

    #[test]
    fn a_wildcard_address_is_reached_at_loopback() {
        for (text, host) in [
            ("0.0.0.0:1", "127.0.0.1"),
            ("[::]:1", "::1"),
            ("[::0]:1", "::1"),
            ("[::ffff:0.0.0.0]:1", "127.0.0.1"),
            ("192.0.2.7:1", "192.0.2.7"),
            ("db.example.com:1", "db.example.com"),
        ] {
            assert_eq!(text.parse::<HostPort>().unwrap().reachable_host(), host);
        }
    }

    #[test]
    fn an_ip_address_has_one_form() {
        let ip = |text: &str| text.parse::<HostPort>().unwrap().ip().map(|address| address.to_string());
        for (text, expected) in
            [("192.0.2.7:1", "192.0.2.7"), ("[::1]:1", "::1"), ("[::ffff:127.0.0.1]:1", "127.0.0.1")]
        {
            assert_eq!(ip(text).as_deref(), Some(expected));
        }
        for name in ["localhost:1", "0:1", "127.1:1", "0x7f000001:1", "[fe80::1%lo]:1"] {
            assert_eq!(ip(name), None, "{name}");
        }
    }

    #[test]
    fn tcp_and_unix_addresses_are_distinguished() {
        for text in ["127.0.0.1:8001", "unix:/run/proxy.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert!("unix:relative".parse::<Address>().is_err());
    }

    #[test]
    fn an_invalid_address_is_refused() {
        for text in ["", "db", ":5432", "db:", "db:x", "db:65536", "::1:5432", "a b:1", "user@db:1", "a/b:1"]
        {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }
}

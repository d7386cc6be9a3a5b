//! `HOST:PORT` and `unix:/path`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The longest name that DNS knows, in bytes (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 253;

/// Where to listen or connect: a TCP address or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `HOST:PORT`
    Tcp(HostPort),
    /// `unix:/path`
    Unix(PathBuf),
}

/// A host name or IP address with a port. Host names compare without regard to case, as DNS does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// A lower-case DNS name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// The text is no address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address of the form HOST:PORT or unix:/path")]
pub struct InvalidAddress {
    text: String,
}

impl InvalidAddress {
    /// Only the beginning of a long text is kept: it may come from a stranger, and goes to the log.
    fn new(text: &str) -> Self {
        Self { text: text.chars().take(LONGEST_HOST).collect() }
    }
}

impl HostPort {
    /// Host and port as they are; the host is lower-cased.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_ascii_lowercase(), port }
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
        let plain = bracketed.is_some() || !host.contains(':');
        let printable = host.chars().all(|character| character.is_ascii_graphic());
        if host.is_empty()
            || host.len() > LONGEST_HOST
            || !plain
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
    fn reads_and_writes_every_form() {
        for text in ["db.example.com:5432", "127.0.0.1:1", "[::1]:65535"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        assert_eq!("DB.Example.com:5432".parse::<HostPort>().unwrap().host, "db.example.com");
    }

    #[test]
    fn a_name_longer_than_dns_has_is_refused_and_not_repeated_whole() {
        assert!(format!("{}:1", "a".repeat(253)).parse::<HostPort>().is_ok());
        let refused = format!("{}:1", "a".repeat(9000)).parse::<HostPort>().unwrap_err();
        assert!(refused.to_string().len() < 400, "{refused}");
    }

    #[test]
    fn tells_tcp_from_unix() {
        for text in ["127.0.0.1:8001", "unix:/run/proxy.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert!("unix:relative".parse::<Address>().is_err());
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in ["", "db", ":5432", "db:", "db:x", "db:65536", "::1:5432", "a b:1", "user@db:1", "a/b:1"]
        {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }
}

//! Parses the text of one value of TLS: modes, and names in certificates.

use std::net::IpAddr;

use rustls::pki_types::DnsName;

use super::scalars::Scalar;
use crate::catalog::WILDCARD;
use crate::tls::{MinVersion, Negotiation, SslMode};

/// A TLS server name (SNI), or `*.` and the rest of one.
#[derive(Clone)]
pub(super) struct ServerName(pub(super) String);

/// A name in client certificates: a DNS name, `*.` and the rest of one, a URI, or a common name.
#[derive(Clone)]
pub(super) struct ClientName(pub(super) String);

/// Whether client certificates are requested.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientAuthMode {
    None,
    Request,
    Require,
}

impl Scalar for ServerName {
    const EXPECTED: &'static str = "a host name such as orders.db.example, or one with `*.` for its first label; clients send no IP address";

    fn read(text: &str) -> Option<Self> {
        let name = text.strip_prefix(WILDCARD).unwrap_or(text);
        // As in the certificate, whose names are those of the connection.
        let is_name =
            DnsName::try_from(name).is_ok() && !name.ends_with('.') && name.parse::<IpAddr>().is_err();
        is_name.then(|| Self(text.to_owned()))
    }
}

impl Scalar for ClientName {
    const EXPECTED: &'static str = "a DNS name, a URI or a common name of a client certificate; `*` stands for the first label only, as in *.jobs.example";

    fn read(text: &str) -> Option<Self> {
        let name = text.strip_prefix(WILDCARD).unwrap_or(text);
        let is_name = !name.is_empty() && !name.contains('*') && !name.contains(char::is_control);
        is_name.then(|| Self(text.to_owned()))
    }
}

impl Scalar for ClientAuthMode {
    const EXPECTED: &'static str = "one of none, request, require";

    fn read(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "request" => Some(Self::Request),
            "require" => Some(Self::Require),
            _ => None,
        }
    }
}

impl Scalar for SslMode {
    const EXPECTED: &'static str = "one of disable, prefer, require, verify-ca, verify-full";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Scalar for MinVersion {
    const EXPECTED: &'static str = "TLSv1.2 or TLSv1.3";

    fn read(text: &str) -> Option<Self> {
        match text {
            "TLSv1.2" => Some(Self::Tls12),
            "TLSv1.3" => Some(Self::Tls13),
            _ => None,
        }
    }
}

impl Scalar for Negotiation {
    const EXPECTED: &'static str = "postgres or direct";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

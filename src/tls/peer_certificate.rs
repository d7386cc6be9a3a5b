//! What people want to know about the certificate of a server.

use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::verify::names_of;
use super::x509::common_name;
use crate::net::Stream;

/// The certificate of a server with which TLS was made.
pub struct PeerCertificate {
    /// The DNS names and IP addresses that it is for; without any, the common name of its subject.
    pub names: Vec<String>,
    /// Its issuer.
    pub issuer: String,
    /// When it expires.
    pub not_after: SystemTime,
    /// How many certificates the server sent, this one included.
    pub chain_length: usize,
}

impl PeerCertificate {
    /// That of a connection which this program opened. Absent without TLS, and for a certificate that cannot be parsed.
    #[must_use]
    pub fn of(stream: &Stream) -> Option<Self> {
        let Stream::Tls(tls) = stream else { return None };
        let chain = tls.get_ref().1.peer_certificates()?;
        let first = chain.first()?;
        let (_, parsed) = X509Certificate::from_der(first).ok()?;
        let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        let mut names = names_of(&parsed);
        if names.is_empty() {
            names.extend(common_name(first));
        }
        Some(Self {
            names,
            issuer: parsed.issuer().to_string(),
            not_after: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?,
            chain_length: chain.len(),
        })
    }
}

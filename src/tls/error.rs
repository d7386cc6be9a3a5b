//! TLS errors, as sentences.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::AlertDescription;
use rustls::pki_types::CertificateDer;

use super::unsupported;

/// A certificate or key that cannot be used, or a handshake that failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("{what} {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The kind of the file.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no certificate, or no key.
    #[error("{} holds no {what} in PEM form", path.display())]
    Empty {
        /// What it should hold.
        what: PemItem,
        /// The path of the file.
        path: PathBuf,
    },
    /// The certificate of a file, or all those of a file or directory, have expired.
    #[error("the certificate {} expired on {date}; replace it", path.display())]
    Expired {
        /// The path of the file or directory.
        path: PathBuf,
        /// The end of the last one's validity.
        date: String,
    },
    /// Certificate and key do not belong together, or are of a kind that TLS cannot use.
    #[error("the certificate {} and its private key cannot be used: {reason}", path.display())]
    Unusable {
        /// The path of the certificate.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// No root certificate was found where the system keeps them.
    #[error(
        "the system has no root certificates; install ca-certificates or set root_certificate ({reason})"
    )]
    NoSystemRoots {
        /// The errors of the places that were read.
        reason: String,
    },
    /// The binary has no RDS roots of this region.
    #[error(
        "this program contains no root certificates of RDS in the region {region}; set rds.root_certificate to the bundle \
         that AWS publishes for it"
    )]
    NoRdsRoots {
        /// The region.
        region: String,
    },
    /// `verify-ca` without a configured root: everybody can get a certificate from the system's roots for some name.
    #[error(
        "the TLS mode verify-ca needs a root_certificate: any certificate of a public CA would satisfy it; set \
         root_certificate, or mode to verify-full"
    )]
    CaWithoutRoots,
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
    /// The peer rejected our certificate, or requires one.
    #[error("{peer} refused the TLS handshake with the alert {alert}")]
    OwnCertificate {
        /// The name of the peer.
        peer: String,
        /// The alert it sent.
        alert: String,
    },
    /// The peer hung up before the handshake was complete.
    #[error("{0} closed the connection during the TLS handshake")]
    HungUp(String),
    /// The handshake failed.
    #[error("{0}")]
    Handshake(String),
}

/// What a PEM file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemItem {
    /// A certificate.
    Certificate,
    /// A private key that is not encrypted.
    PrivateKey,
    /// A certificate revocation list.
    RevocationList,
}

impl TlsError {
    /// The file or directory that it is about.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Unreadable { path, .. }
            | Self::Empty { path, .. }
            | Self::Expired { path, .. }
            | Self::Unusable { path, .. } => Some(path),
            Self::NoSystemRoots { .. }
            | Self::NoRdsRoots { .. }
            | Self::CaWithoutRoots
            | Self::Setup(_)
            | Self::OwnCertificate { .. }
            | Self::HungUp(_)
            | Self::Handshake(_) => None,
        }
    }

    /// Our certificate, the first of `chain`, that rustls refused with `error`.
    pub(super) fn unusable(path: &Path, chain: &[CertificateDer<'_>], error: &rustls::Error) -> Self {
        let reason = chain.first().and_then(unsupported::reason_for_own);
        let reason = reason.map_or_else(|| error.to_string(), |reason| format!("the certificate {reason}"));
        Self::Unusable { path: path.to_owned(), reason }
    }

    /// The reason why `peer` ended a connection after the handshake: in TLS 1.3 it verifies our certificate after the
    /// handshake is complete on our side. Absent if the error is no alert.
    #[must_use]
    pub fn from_alert(peer: &str, error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        matches!(inner, rustls::Error::AlertReceived(_)).then(|| Self::from_handshake(peer, error))
    }

    /// The reason of a failed handshake with `peer`.
    pub(super) fn from_handshake(peer: &str, error: &io::Error) -> Self {
        let Some(rustls_error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
        else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::HungUp(peer.to_owned()),
                _ => Self::Handshake(format!("the TLS handshake with {peer} failed: {error}")),
            };
        };
        Self::Handshake(match rustls_error {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
                format!("the certificate of {peer} is not trusted: {}", other.0)
            }
            rustls::Error::InvalidCertificate(rustls::CertificateError::BadSignature) => {
                format!("{peer} did not prove that it has the private key of its certificate")
            }
            rustls::Error::PeerMisbehaved(rustls::PeerMisbehaved::SignedKxWithWrongAlgorithm) => format!(
                "{peer} signed the TLS 1.2 handshake in a way that this program does not support, as with an RSA-PSS key; \
                 turn on TLS 1.3 there, or use a certificate with an RSA or ECDSA key"
            ),
            rustls::Error::AlertReceived(alert) if is_about_certificate(*alert) => {
                return Self::OwnCertificate { peer: peer.to_owned(), alert: format!("{alert:?}") };
            }
            rustls::Error::AlertReceived(alert) => {
                format!("{peer} refused the TLS handshake with the alert {alert:?}")
            }
            rustls::Error::InvalidMessage(_) => {
                format!("{peer} answered the TLS handshake with something other than TLS")
            }
            rustls::Error::PeerIncompatible(reason) => {
                format!(
                    "{peer} and this proxy have no TLS version or cipher in common ({reason:?}); TLS 1.2 is the minimum, or proxy.ssl.min_version"
                )
            }
            other => format!("the TLS handshake with {peer} failed: {other}"),
        })
    }
}

impl fmt::Display for PemItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Certificate => "certificate",
            Self::PrivateKey => "unencrypted private key",
            Self::RevocationList => "certificate revocation list",
        })
    }
}

/// Whether the alert is about the receiver's certificate (RFC 8446 section 6.2).
fn is_about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
    )
}

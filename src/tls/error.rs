//! What can be wrong with TLS, in sentences.

use std::io;
use std::path::PathBuf;

use rustls::AlertDescription;

/// A certificate, key or handshake that is no good.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("{what} {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which kind of file.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds nothing of the kind it should hold.
    #[error("{} holds no {what} in PEM form", path.display())]
    Empty {
        /// What was looked for.
        what: &'static str,
        /// The path of the file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or are of a kind that TLS cannot use.
    #[error("the certificate {} and its private key cannot be used: {reason}", path.display())]
    Unusable {
        /// The path of the certificate.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No root certificate was found where the system keeps them.
    #[error(
        "the system has no root certificates; install ca-certificates or set root_certificate ({reason})"
    )]
    NoSystemRoots {
        /// What was tried.
        reason: String,
    },
    /// TLS could not be set up at all.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
    /// The peer found fault with our own certificate, or wanted one.
    #[error("{peer} refused the TLS handshake with the alert {alert}")]
    OwnCertificate {
        /// Who refused.
        peer: String,
        /// What it called it.
        alert: String,
    },
    /// The handshake failed.
    #[error("{0}")]
    Handshake(String),
}

impl TlsError {
    /// The reason why `peer` broke off a connection whose handshake was over on our side: in TLS 1.3 it looks at our
    /// certificate only then. Absent where the error is no alert.
    #[must_use]
    pub fn from_alert(peer: &str, error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        matches!(inner, rustls::Error::AlertReceived(_)).then(|| Self::from_handshake(peer, error))
    }

    /// The reason of a failed handshake with the peer called `peer`, as a sentence.
    pub(super) fn from_handshake(peer: &str, error: &io::Error) -> Self {
        let Some(rustls_error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
        else {
            return Self::Handshake(match error.kind() {
                io::ErrorKind::UnexpectedEof => format!("{peer} hung up during the TLS handshake"),
                _ => format!("the TLS handshake with {peer} broke off: {error}"),
            });
        };
        Self::Handshake(match rustls_error {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
                format!("the certificate of {peer} is not trusted: {}", other.0)
            }
            rustls::Error::AlertReceived(alert) if is_about_certificate(*alert) => {
                return Self::OwnCertificate { peer: peer.to_owned(), alert: format!("{alert:?}") };
            }
            rustls::Error::AlertReceived(alert) => {
                format!("{peer} refused the TLS handshake with the alert {alert:?}")
            }
            rustls::Error::InvalidMessage(_) => {
                format!("{peer} answered the TLS handshake with something else than TLS")
            }
            rustls::Error::PeerIncompatible(reason) => {
                format!(
                    "{peer} and this proxy have no TLS version or cipher in common ({reason:?}); TLS 1.2 is the least"
                )
            }
            other => format!("the TLS handshake with {peer} failed: {other}"),
        })
    }
}

/// Alerts that speak of the certificate of whoever receives them (RFC 8446 section 6.2).
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

//! What can be wrong with TLS, in sentences.

use std::io;
use std::path::PathBuf;

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
    /// The handshake failed.
    #[error("{0}")]
    Handshake(String),
}

impl TlsError {
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

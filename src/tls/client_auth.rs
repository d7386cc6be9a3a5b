//! Client certificates of applications: which are requested, and whether one is trusted.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::distrust::shown;
use super::trusted_clients::TrustedClients;
use super::{TlsError, VerifiedClient, handshake_signature, provider};

/// What a listener demands of client certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// The certificates of the CAs that sign them: a PEM file, or a directory of PEM files.
    pub ca: PathBuf,
    /// Revocation lists of these CAs: a PEM file, or a directory of PEM files; absent: nothing is revoked.
    pub crl: Option<PathBuf>,
    /// Whether an application without one is refused.
    pub required: bool,
}

/// Why an application is refused for its client certificate. It reads this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientCertificateError {
    /// It sent none, where one is required.
    #[error(
        "this proxy requires a client certificate, and the application sent none that a CA in client_ca has signed"
    )]
    Missing,
    /// It is not trusted.
    #[error("the client certificate{} is not accepted: {reason}", of(subject))]
    Untrusted {
        /// Its subject; empty if that cannot be read.
        subject: String,
        /// Why.
        reason: String,
    },
}

fn of(subject: &str) -> String {
    if subject.is_empty() { String::new() } else { format!(" of {subject}") }
}

/// The demands of a listener, with the files that they name.
pub(super) struct ClientCheck {
    required: bool,
    trusted: TrustedClients,
}

impl ClientAuth {
    /// The files to load again when they change.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        [&self.ca].into_iter().chain(&self.crl).cloned().collect()
    }

    pub(super) fn load(&self) -> Result<ClientCheck, TlsError> {
        Ok(ClientCheck {
            required: self.required,
            trusted: TrustedClients::load(&self.ca, self.crl.as_deref())?,
        })
    }
}

impl ClientCheck {
    /// What requests the certificate in the handshake.
    pub(super) fn request(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(Request { provider: provider(), authorities: self.trusted.authorities() })
    }

    /// Verifies the chain that an application sent in this handshake, or in the one that its session resumes. Absent if it sent none
    /// and needs none.
    pub(super) fn verify(
        &self,
        chain: Option<&[CertificateDer<'_>]>,
    ) -> Result<Option<VerifiedClient>, ClientCertificateError> {
        match chain.and_then(<[_]>::split_first) {
            None if self.required => Err(ClientCertificateError::Missing),
            None => Ok(None),
            Some((certificate, intermediates)) => {
                let client = VerifiedClient::of(certificate);
                let subject = client.as_ref().map(|client| shown(&client.subject)).unwrap_or_default();
                let untrusted = |reason| ClientCertificateError::Untrusted { subject, reason };
                match (self.trusted.verify(certificate, intermediates, UnixTime::now()), client) {
                    (Ok(()), Some(client)) => Ok(Some(client)),
                    (Ok(()), None) => Err(untrusted("its names cannot be read".into())),
                    (Err(reason), _) => Err(untrusted(reason)),
                }
            }
        }
    }
}

/// Requests a client certificate, and lets the application prove that it has the key. It does not decide about trust: rustls would
/// end the handshake with an alert, and the application would read no reason. [`ClientCheck::verify`] decides after the handshake,
/// and about resumed sessions too.
#[derive(Debug)]
struct Request {
    provider: Arc<CryptoProvider>,
    /// The subjects of the trusted CAs. An application with several certificates chooses by them.
    authorities: Vec<DistinguishedName>,
}

impl ClientCertVerifier for Request {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        handshake_signature::verify_tls12(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        handshake_signature::verify_tls13(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        handshake_signature::schemes(&self.provider.signature_verification_algorithms)
    }
}

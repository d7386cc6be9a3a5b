//! Generated certificates.

use std::hash::{Hash, Hasher};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use crate::secret::Secret;

/// A self-signed certificate with its key (ECDSA P-256). Equal ones have the same certificate.
pub struct SelfSigned {
    /// The certificate, as PEM.
    pub certificate_pem: String,
    /// The private key, as PEM (PKCS #8).
    pub key_pem: Secret,
    certificate: CertificateDer<'static>,
    key: Secret,
}

impl PartialEq for SelfSigned {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate
    }
}

impl Eq for SelfSigned {}

impl Hash for SelfSigned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.certificate.hash(state);
    }
}

impl SelfSigned {
    /// Generates one for these DNS names and IP addresses. It is no CA: as `root_certificate` of the other side it makes
    /// that trust this certificate and no other.
    pub fn generate(hosts: &[String]) -> Result<Self, TlsError> {
        let failed =
            |error: rcgen::Error| TlsError::Setup(format!("a certificate cannot be generated: {error}"));
        let mut params = CertificateParams::new(hosts.to_vec()).map_err(failed)?;
        let common_name = hosts.first().map_or("rds-auth-proxy", String::as_str);
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            key_pem: Secret::new(key.serialize_pem()),
            certificate: certificate.der().clone(),
            key: Secret::new(key.serialize_der()),
        })
    }

    /// Certificate chain and key as rustls takes them.
    pub(super) fn chain(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let key = PrivateKeyDer::try_from(self.key.expose().to_vec())
            .map_err(|reason| TlsError::Setup(format!("the generated key cannot be used: {reason}")))?;
        Ok((vec![self.certificate.clone()], key))
    }
}

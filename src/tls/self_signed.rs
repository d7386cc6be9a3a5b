//! Generated certificates.

use std::hash::{Hash, Hasher};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use crate::secret::Secret;

/// How long a generated certificate is valid in total: the most that common clients accept in a certificate of a private CA
/// (<https://support.apple.com/HT210176>).
const VALIDITY: Duration = Duration::from_hours(825 * 24);

/// How far the clock of another machine may be behind.
const CLOCK_SLACK: Duration = Duration::from_hours(1);

/// A self-signed certificate with its key (ECDSA P-256). Equal ones have the same certificate.
pub struct SelfSigned {
    /// The certificate, as PEM.
    pub certificate_pem: String,
    /// The private key, as PEM (PKCS #8).
    pub key_pem: Secret,
    /// The end of its validity.
    pub valid_until: SystemTime,
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
    /// Generates one for these DNS names and IP addresses, for servers and clients, valid for 825 days. It is no CA: as
    /// `root_certificate` of the other side it makes that trust this certificate and no other.
    pub fn generate(hosts: &[String]) -> Result<Self, TlsError> {
        let mut params = CertificateParams::new(hosts.to_vec())?;
        let common_name = hosts.first().map_or("rds-auth-proxy", String::as_str);
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let (valid_from, valid_until) = validity();
        (params.not_before, params.not_after) = (valid_from.into(), valid_until.into());
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            key_pem: Secret::new(key.serialize_pem()),
            valid_until,
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

/// The begin and the end of the validity of a certificate that is generated now.
pub(super) fn validity() -> (SystemTime, SystemTime) {
    let valid_from = SystemTime::now() - CLOCK_SLACK;
    (valid_from, valid_from + VALIDITY)
}

impl From<rcgen::Error> for TlsError {
    fn from(error: rcgen::Error) -> Self {
        Self::Setup(format!("a certificate cannot be generated: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::certificate::X509Certificate;
    use x509_parser::prelude::FromDer;

    use super::*;

    #[test]
    fn a_certificate_is_for_servers_and_clients_and_for_825_days() {
        let generated = SelfSigned::generate(&["localhost".into()]).unwrap();
        let (_, parsed) = X509Certificate::from_der(&generated.certificate).unwrap();
        let validity = parsed.validity();
        let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / (24 * 3600);
        assert_eq!(days, 825);
        assert!(validity.is_valid());
        let until = generated.valid_until.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(u64::try_from(validity.not_after.timestamp()), Ok(until));
        let extended = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.server_auth && extended.client_auth && !extended.any);
        assert!(parsed.key_usage().unwrap().unwrap().value.digital_signature());
        assert!(!parsed.is_ca());
    }
}

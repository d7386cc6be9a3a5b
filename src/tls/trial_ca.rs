//! A CA that signs some certificates and is gone.

use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use super::TlsError;
use super::self_signed::validity;
use crate::secret::Secret;

/// A CA (ECDSA P-256) whose key lives only in memory, valid for 825 days as all that it signs.
pub struct TrialCa {
    /// Its certificate, as PEM.
    pub certificate_pem: String,
    /// The end of all validities.
    pub valid_until: SystemTime,
    valid_from: SystemTime,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate of a CA, with its key.
pub struct Issued {
    /// The certificate, as PEM.
    pub certificate_pem: String,
    /// The private key, as PEM (PKCS #8).
    pub key_pem: Secret,
}

impl TrialCa {
    /// Makes one that signs no other CA.
    pub fn generate() -> Result<Self, TlsError> {
        let (valid_from, valid_until) = validity();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "rds-auth-proxy gen-cert");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = (valid_from.into(), valid_until.into());
        let key = KeyPair::generate()?;
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self { certificate_pem, valid_until, valid_from, issuer: Issuer::new(params, key) })
    }

    /// A certificate of a server for these DNS names and IP addresses.
    pub fn issue_server(&self, hosts: &[String]) -> Result<Issued, TlsError> {
        let mut params = CertificateParams::new(hosts.to_vec())?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params, hosts.first().map_or("rds-auth-proxy", String::as_str))
    }

    /// A certificate of a client with this common name, and no other name.
    pub fn issue_client(&self, name: &str) -> Result<Issued, TlsError> {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params, name)
    }

    fn issue(&self, mut params: CertificateParams, common_name: &str) -> Result<Issued, TlsError> {
        // The default has another common name.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (self.valid_from.into(), self.valid_until.into());
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: Secret::new(key.serialize_pem()) })
    }
}

//! What the proxy reads in certificates: the digest for channel binding, the expiry date and the name.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::{TlsError, pem};
use crate::net::Stream;
use crate::stamp::Stamp;

/// The expiry date of a certificate file. The file is parsed again only after it changed.
pub struct CertificateExpiry {
    path: PathBuf,
    /// Belongs to the file that the date was read from.
    stamp: Stamp,
    date: Option<i64>,
}

impl CertificateExpiry {
    /// For this file, which is not read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, stamp: Stamp::default(), date: None }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When the first certificate of the file to expire does so, in seconds since 1970. A file that cannot be read or
    /// parsed any more keeps its last date; absent if there is none. Looks at the file, so it belongs on a thread for
    /// blocking work.
    pub fn seconds(&mut self) -> Option<i64> {
        let stamp = Stamp::of(&self.path);
        if stamp != self.stamp
            && let Ok(Some(date)) = expiry(&self.path)
        {
            (self.stamp, self.date) = (stamp, Some(date));
        }
        self.date
    }
}

/// The digest of the server's certificate on a TLS stream that we opened: the channel binding `tls-server-end-point` of
/// SCRAM-SHA-256-PLUS (RFC 5929 section 4.1: the hash of the certificate's signature, SHA-256 in place of MD5 and
/// SHA-1). Absent without TLS, and for signatures that name no such hash (Ed25519, RSA-PSS here); the login then uses
/// plain SCRAM-SHA-256.
#[must_use]
pub fn server_end_point(stream: &Stream) -> Option<Vec<u8>> {
    let Stream::Tls(tls) = stream else { return None };
    let certificate = tls.get_ref().1.peer_certificates()?.first()?;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = signature_hash(&parsed)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// When the first certificate of a PEM text expires, in seconds since 1970.
#[must_use]
pub fn not_after(text: &[u8]) -> Option<i64> {
    let certificates = pem::certificates_in(text);
    let (_, certificate) = X509Certificate::from_der(certificates.first()?).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// Whether the first certificate of a PEM text is of X.509 version 1, which webpki does not accept in a chain.
#[must_use]
pub fn is_version_1(text: &[u8]) -> bool {
    let certificates = pem::certificates_in(text);
    let parsed = certificates.first().and_then(|certificate| X509Certificate::from_der(certificate).ok());
    parsed.is_some_and(|(_, certificate)| certificate.version() == X509Version::V1)
}

/// The error of a file whose first certificate has expired; absent for one that cannot be read.
#[must_use]
pub fn expired(path: &Path) -> Option<TlsError> {
    let certificates = pem::certificates(path).ok()?;
    expired_before_now(path, certificates.first().and_then(end_of))
}

/// The error of a file or directory whose certificates have all expired; absent for one that cannot be read.
#[must_use]
pub fn all_expired(path: &Path) -> Option<TlsError> {
    let certificates = pem::certificates_at(path).ok()?;
    expired_before_now(path, certificates.iter().filter_map(end_of).max())
}

fn end_of(certificate: &CertificateDer<'_>) -> Option<ASN1Time> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after)
}

fn expired_before_now(path: &Path, end: Option<ASN1Time>) -> Option<TlsError> {
    let end = end.filter(|end| *end < ASN1Time::now())?;
    Some(TlsError::Expired { path: path.to_owned(), date: end.to_string() })
}

/// The common name of the certificate's subject.
pub(super) fn common_name(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

fn signature_hash(certificate: &X509Certificate<'_>) -> Option<&'static digest::Algorithm> {
    let signature = &certificate.signature_algorithm.algorithm;
    let sha256 = [
        oid::OID_PKCS1_MD5WITHRSAENC,
        oid::OID_PKCS1_SHA1WITHRSA,
        oid::OID_PKCS1_SHA256WITHRSA,
        oid::OID_SIG_ECDSA_WITH_SHA256,
    ];
    if sha256.iter().any(|known| known == signature) {
        return Some(&digest::SHA256);
    }
    if *signature == oid::OID_PKCS1_SHA384WITHRSA || *signature == oid::OID_SIG_ECDSA_WITH_SHA384 {
        return Some(&digest::SHA384);
    }
    if *signature == oid::OID_PKCS1_SHA512WITHRSA || *signature == oid::OID_SIG_ECDSA_WITH_SHA512 {
        return Some(&digest::SHA512);
    }
    None
}

/// When the first certificate of the file to expire does so, in seconds since 1970; absent if none can be parsed.
fn expiry(path: &Path) -> Result<Option<i64>, TlsError> {
    let certificates = pem::certificates(path)?;
    let parsed = certificates.iter().filter_map(|certificate| X509Certificate::from_der(certificate).ok());
    Ok(parsed.map(|(_, certificate)| certificate.validity().not_after.timestamp()).min())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate that is valid until the first day of the year.
    fn certificate(year: i32) -> String {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn the_expiry_date_follows_the_file_and_survives_a_bad_one() {
        const START_OF_2030: i64 = 1_893_456_000;
        const START_OF_2031: i64 = 1_924_992_000;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("certificate.pem");
        let mut expiry = CertificateExpiry::new(file.clone());
        assert_eq!(expiry.seconds(), None);
        fs::write(&file, certificate(2031)).unwrap();
        assert_eq!(expiry.seconds(), Some(START_OF_2031));
        fs::write(&file, "no certificate").unwrap();
        assert_eq!(expiry.seconds(), Some(START_OF_2031), "the last date stays");
        fs::write(&file, [certificate(2031), certificate(2030)].concat()).unwrap();
        assert_eq!(expiry.seconds(), Some(START_OF_2030), "the first certificate to expire counts");
        fs::remove_file(&file).unwrap();
        assert_eq!(expiry.seconds(), Some(START_OF_2030), "the last date stays");
    }

    #[test]
    fn an_unchanged_file_is_not_parsed_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("certificate.pem");
        fs::write(&file, certificate(2031)).unwrap();
        let stamp = Stamp::of(&file);
        let mut expiry = CertificateExpiry { path: file, stamp, date: Some(1) };
        assert_eq!(expiry.seconds(), Some(1));
    }
}

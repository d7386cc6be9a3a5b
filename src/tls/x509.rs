//! What the proxy reads in certificates: the digest for channel binding, and the expiry date.

use std::path::Path;

use aws_lc_rs::digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::FromDer;

use super::{TlsError, pem};
use crate::net::Stream;

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
pub fn expiry(path: &Path) -> Result<Option<i64>, TlsError> {
    let certificates = pem::certificates(path)?;
    let parsed = certificates.iter().filter_map(|certificate| X509Certificate::from_der(certificate).ok());
    Ok(parsed.map(|(_, certificate)| certificate.validity().not_after.timestamp()).min())
}

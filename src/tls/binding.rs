//! Channel binding of type `tls-server-end-point`.

use aws_lc_rs::digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::FromDer;

use crate::net::Stream;

/// The hash of the server's certificate on a TLS stream that we opened, as SCRAM-SHA-256-PLUS binds to (RFC 5929
/// section 4.1: the hash of the certificate's signature, SHA-256 in place of MD5 and SHA-1). Absent in clear and for
/// signatures that name no such hash (Ed25519, RSA-PSS here); then plain SCRAM-SHA-256 has to do.
#[must_use]
pub fn server_end_point(stream: &Stream) -> Option<Vec<u8>> {
    let Stream::Tls(tls) = stream else { return None };
    let certificate = tls.get_ref().1.peer_certificates()?.first()?;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = hash_of(&parsed)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

fn hash_of(certificate: &X509Certificate<'_>) -> Option<&'static digest::Algorithm> {
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

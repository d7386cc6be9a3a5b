//! The signature by which a peer proves that it has the key of its certificate.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use webpki::RawPublicKeyEntity;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::OID_PKCS1_RSASSAPSS;
use x509_parser::prelude::FromDer;

/// The schemes of keys that are for RSA-PSS only, each with the scheme of an ordinary RSA key that computes the same (RFC 8446
/// section 4.2.3: `rsa_pss_pss_sha256` and following). rustls does not name them, and takes them in TLS 1.3 only.
const PSS_KEY_SCHEMES: [(SignatureScheme, SignatureScheme); 3] = [
    (SignatureScheme::Unknown(0x0809), SignatureScheme::RSA_PSS_SHA256),
    (SignatureScheme::Unknown(0x080a), SignatureScheme::RSA_PSS_SHA384),
    (SignatureScheme::Unknown(0x080b), SignatureScheme::RSA_PSS_SHA512),
];

type Valid = Result<HandshakeSignatureValid, Error>;

/// All schemes that this module can verify, the preferred ones first.
pub(super) fn schemes(algorithms: &WebPkiSupportedAlgorithms) -> Vec<SignatureScheme> {
    let of_pss_keys = PSS_KEY_SCHEMES.map(|(scheme, _)| scheme);
    algorithms.supported_schemes().into_iter().chain(of_pss_keys).collect()
}

/// Verifies the signature of a TLS 1.2 handshake. A certificate that webpki cannot read, such as one of X.509 version 1, counts
/// as its public key alone: whether a certificate is trusted is decided before.
pub(super) fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Valid {
    if ParsedCertificate::try_from(certificate).is_ok() {
        return verify_tls12_signature(message, certificate, signed, algorithms);
    }
    let parsed = parse(certificate)?;
    let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
    let key = RawPublicKeyEntity::try_from(&key).map_err(|_| bad_encoding())?;
    // In TLS 1.2 a scheme does not name the curve of the key, so several algorithms may fit.
    for algorithm in of_scheme(signed.scheme, algorithms)? {
        match key.verify_signature(*algorithm, message, signed.signature()) {
            Ok(()) => return Ok(HandshakeSignatureValid::assertion()),
            Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => break,
        }
    }
    Err(CertificateError::BadSignature.into())
}

/// The same for TLS 1.3, where the key may also be one for RSA-PSS only.
pub(super) fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Valid {
    if let Some((_, scheme)) = PSS_KEY_SCHEMES.iter().find(|(scheme, _)| *scheme == signed.scheme) {
        return verify_pss_key(message, certificate, signed.signature(), of_scheme(*scheme, algorithms)?);
    }
    if ParsedCertificate::try_from(certificate).is_ok() {
        return verify_tls13_signature(message, certificate, signed, algorithms);
    }
    let parsed = parse(certificate)?;
    let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
    verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
}

type Algorithms = &'static [&'static dyn rustls::pki_types::SignatureVerificationAlgorithm];

fn verify_pss_key(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &[u8],
    algorithms: Algorithms,
) -> Valid {
    let parsed = parse(certificate)?;
    let key = parsed.public_key();
    if key.algorithm.algorithm != OID_PKCS1_RSASSAPSS {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }

    let verified = algorithms.first().is_some_and(|algorithm| {
        algorithm.verify_signature(&key.subject_public_key.data, message, signature).is_ok()
    });
    if verified {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

fn of_scheme(scheme: SignatureScheme, algorithms: &WebPkiSupportedAlgorithms) -> Result<Algorithms, Error> {
    let found = algorithms.mapping.iter().find(|(known, _)| *known == scheme);
    found
        .map(|(_, algorithms)| *algorithms)
        .ok_or_else(|| PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    X509Certificate::from_der(certificate).map(|(_, parsed)| parsed).map_err(|_| bad_encoding())
}

fn bad_encoding() -> Error {
    CertificateError::BadEncoding.into()
}

//! Certificates that other programs take and rustls does not.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::X509Extension;
use x509_parser::oid_registry as oid;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

/// Why rustls cannot use this certificate, and the remedy, as the end of a sentence whose subject is the certificate. Absent
/// for certificates without such a trait.
pub(super) fn reason(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    old_version(&parsed).or_else(|| unknown_extension(&parsed))
}

/// The same for a certificate of ours, whose private key rustls must use too.
pub(super) fn reason_for_own(certificate: &CertificateDer<'_>) -> Option<String> {
    let pss = || {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let key = &parsed.public_key().algorithm.algorithm;
        (*key == oid::OID_PKCS1_RSASSAPSS).then(|| {
            "has an RSA-PSS key, with which this program cannot sign; make one with an RSA or ECDSA key"
                .to_owned()
        })
    };
    reason(certificate).or_else(pss)
}

fn old_version(certificate: &X509Certificate<'_>) -> Option<String> {
    let version = certificate.version();
    (version != X509Version::V3).then(|| {
        format!(
            "is of X.509 version {}, and TLS needs version 3 here; issue it again with a subjectAltName (openssl x509 -req \
             -extfile)",
            version.0.saturating_add(1)
        )
    })
}

fn unknown_extension(certificate: &X509Certificate<'_>) -> Option<String> {
    let unknown =
        certificate.extensions().iter().find(|extension| extension.critical && !is_known(extension))?;
    Some(format!(
        "has the critical extension {}, which this program does not know; issue it again with that extension not critical, or \
         without it",
        unknown.oid.to_id_string()
    ))
}

/// Whether webpki evaluates the extension (`remember_cert_extension` in `src/cert.rs` of rustls-webpki).
fn is_known(extension: &X509Extension<'_>) -> bool {
    [
        oid::OID_X509_EXT_KEY_USAGE,
        oid::OID_X509_EXT_SUBJECT_ALT_NAME,
        oid::OID_X509_EXT_BASIC_CONSTRAINTS,
        oid::OID_X509_EXT_NAME_CONSTRAINTS,
        oid::OID_X509_EXT_CRL_DISTRIBUTION_POINTS,
        oid::OID_X509_EXT_EXTENDED_KEY_USAGE,
    ]
    .contains(&extension.oid)
}

//! Why the certificate of a peer is not trusted, in words.

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::unsupported;

/// Whether a certificate that is trusted itself is valid now.
pub(super) fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now > parsed.validity().not_after.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    if now < parsed.validity().not_before.timestamp() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    Ok(())
}

/// Why a verifier refused the certificate, as the end of a sentence; `unknown` says about an unknown issuer where it is missing. Absent
/// if the error is not about the certificate, or that cannot be parsed.
pub(super) fn reason(
    error: &Error,
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    unknown: &str,
) -> Option<String> {
    let Error::InvalidCertificate(reason) = error else { return None };
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    Some(match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("it expired on {}", validity.not_after)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("it is not valid before {}; check the clocks", validity.not_before)
        }
        CertificateError::UnknownIssuer => unknown_issuer(&parsed, intermediates, unknown),
        CertificateError::Revoked => "its CA has revoked it".into(),
        CertificateError::UnknownRevocationStatus => {
            "client_crl has no revocation list of a CA in its chain".into()
        }
        CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
            "the revocation list of a CA in its chain has expired; replace the one in client_crl".into()
        }
        other => unsupported::reason(certificate)
            .map_or_else(|| other.to_string(), |reason| format!("it {reason}")),
    })
}

/// The most characters of a name in an error. Any peer can send a certificate with a name of 64 KB.
const MAX_NAME: usize = 256;

/// A name in a certificate that is not trusted.
pub(super) fn shown(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

fn unknown_issuer(
    certificate: &X509Certificate<'_>,
    intermediates: &[CertificateDer<'_>],
    unknown: &str,
) -> String {
    // webpki passes over an intermediate certificate that it cannot read.
    if let Some(reason) = intermediates.iter().find_map(unsupported::reason) {
        return format!("an intermediate certificate {reason}");
    }
    format!("its issuer is \"{}\", {unknown}", shown(&top_issuer(certificate, intermediates)))
}

/// The CA to trust: the issuer of the last certificate that the peer sent.
fn top_issuer(certificate: &X509Certificate<'_>, intermediates: &[CertificateDer<'_>]) -> String {
    let last = intermediates.last().and_then(|last| X509Certificate::from_der(last).ok());
    last.map_or_else(|| certificate.issuer().to_string(), |(_, last)| last.issuer().to_string())
}

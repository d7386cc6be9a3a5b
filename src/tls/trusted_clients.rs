//! The CAs whose client certificates count.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DistinguishedName, Error, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::roots::certificates_at;
use super::{PemItem, TlsError, distrust, provider};

/// What the reason says about an unknown issuer. The application reads it, so it names no file.
const UNKNOWN: &str = "which is no CA in client_ca of this proxy";

/// Verifies chains of client certificates.
pub(super) struct TrustedClients {
    /// The subjects of all certificates.
    authorities: Vec<DistinguishedName>,
    /// Certificates that are no CA: each is trusted itself, and vouches for no other.
    pinned: Vec<CertificateDer<'static>>,
    /// Verifies chains that end at a CA; absent if there is none.
    chains: Option<Arc<dyn ClientCertVerifier>>,
}

impl TrustedClients {
    /// The certificates of this file or directory. CAs that have expired are left out; if no certificate is left, that is an error.
    pub(super) fn load(path: &Path) -> Result<Self, TlsError> {
        let (mut authorities, mut pinned, mut roots) = (Vec::new(), Vec::new(), RootCertStore::empty());
        let mut last_expiry = None;
        for certificate in certificates_at(path)? {
            let Ok((_, parsed)) = X509Certificate::from_der(&certificate) else { continue };
            let is_authority = parsed.is_ca() || parsed.version() == X509Version::V1;
            let not_after = parsed.validity().not_after;
            // webpki does not look at the dates of a root.
            if not_after < ASN1Time::now() {
                last_expiry = last_expiry.max(Some(not_after));
                continue;
            }
            let subject = DistinguishedName::from(parsed.subject().as_raw().to_vec());
            // A bundle may hold a root that webpki cannot use; the others stay usable.
            if !is_authority {
                pinned.push(certificate.clone());
            } else if roots.add(certificate.clone()).is_err() {
                continue;
            }
            authorities.push(subject);
        }
        if authorities.is_empty() {
            return Err(match last_expiry {
                Some(last) => TlsError::Expired { path: path.to_owned(), date: last.to_string() },
                None => TlsError::Empty { what: PemItem::Certificate, path: path.to_owned() },
            });
        }
        let chains = (!roots.is_empty())
            .then(|| WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build());
        let chains = chains.transpose().map_err(|error| TlsError::Setup(error.to_string()))?;
        Ok(Self { authorities, pinned, chains })
    }

    pub(super) fn authorities(&self) -> Vec<DistinguishedName> {
        self.authorities.clone()
    }

    /// The error is the reason, as the end of a sentence whose subject is the certificate.
    pub(super) fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), String> {
        let verified = if self.pinned.iter().any(|pinned| pinned == certificate) {
            distrust::check_dates(certificate, now)
        } else if let Some(chains) = &self.chains {
            chains.verify_client_cert(certificate, intermediates, now).map(drop)
        } else {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
        };
        verified.map_err(|error| {
            let reason = distrust::reason(&error, certificate, intermediates, UNKNOWN);
            reason.unwrap_or_else(|| error.to_string())
        })
    }
}

//! The CAs whose client certificates count.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, DistinguishedName, Error, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::{TlsError, distrust, pem, provider};

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
    /// The certificates of this file or directory, without CAs that have expired, and revocation lists. With those, a certificate
    /// below a CA that has none is not trusted, as in PostgreSQL.
    pub(super) fn load(ca: &Path, crl: Option<&Path>) -> Result<Self, TlsError> {
        let (mut authorities, mut pinned, mut roots) = (Vec::new(), Vec::new(), RootCertStore::empty());
        for certificate in pem::certificates_at(ca)? {
            let Ok((_, parsed)) = X509Certificate::from_der(&certificate) else { continue };
            // webpki does not look at the dates of a root.
            if parsed.validity().not_after < ASN1Time::now() {
                continue;
            }
            let is_authority = parsed.is_ca() || parsed.version() == X509Version::V1;
            // A bundle may hold a root that webpki cannot use; the others stay usable.
            if !is_authority {
                pinned.push(certificate.clone());
            } else if roots.add(certificate.clone()).is_err() {
                continue;
            }
            authorities.push(DistinguishedName::from(parsed.subject().as_raw().to_vec()));
        }
        let revoked = crl.map(pem::revocation_lists_at).transpose()?.unwrap_or_default();
        let chains = (!roots.is_empty()).then(|| {
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                .with_crls(revoked)
                .enforce_revocation_expiration()
                .build()
        });
        let unusable = |error: VerifierBuilderError| match crl {
            Some(path) => TlsError::Unusable { path: path.to_owned(), reason: error.to_string() },
            None => TlsError::Setup(error.to_string()),
        };
        Ok(Self { authorities, pinned, chains: chains.transpose().map_err(unusable)? })
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

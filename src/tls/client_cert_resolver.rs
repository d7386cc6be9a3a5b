//! Which servers get our client certificate.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Sends the client certificate to a server that names no authorities, or names one that signed its chain. A server that
/// names only others rejects the certificate if it gets it (PostgreSQL with an `ssl_ca_file`, which every database on RDS
/// has), but may continue without one. Source: RFC 8446 section 4.2.4, RFC 5246 section 7.4.4.
#[derive(Debug)]
pub(super) struct ClientCertResolver {
    certified: Arc<CertifiedKey>,
    /// The distinguished names of the issuers in the chain, in DER.
    issuers: Vec<Vec<u8>>,
}

impl ClientCertResolver {
    pub(super) fn new(certified: CertifiedKey) -> Self {
        let parsed = certified.cert.iter().filter_map(|der| X509Certificate::from_der(der).ok());
        let issuers = parsed.map(|(_, certificate)| certificate.issuer().as_raw().to_vec()).collect();
        Self { certified: Arc::new(certified), issuers }
    }
}

impl ResolvesClientCert for ClientCertResolver {
    fn resolve(&self, authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let is_issuer = |authority: &&[u8]| self.issuers.iter().any(|issuer| issuer == authority);
        let accepted = authorities.is_empty() || authorities.iter().any(is_issuer);
        accepted.then(|| Arc::clone(&self.certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Sends no client certificate.
#[derive(Debug)]
pub(super) struct NoClientCert;

impl ResolvesClientCert for NoClientCert {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

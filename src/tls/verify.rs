//! Verifies the certificates of servers, and explains why one is not trusted.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::roots::LoadedRoots;
use super::{distrust, handshake_signature};

/// What a connector verifies about a certificate. In every case the server proves that it has the certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    None,
    /// A trusted CA signed it.
    Ca,
    /// A trusted CA signed it for the dialled name.
    CaAndName,
}

/// The verifier of one connector.
pub(super) struct Verifier {
    verification: Verification,
    roots: LoadedRoots,
    provider: Arc<CryptoProvider>,
}

/// The reason a certificate is not trusted, as the end of a sentence.
#[derive(Debug)]
struct Untrusted(String);

impl fmt::Display for Untrusted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Untrusted {}

impl Verifier {
    pub(super) fn new(verification: Verification, roots: LoadedRoots, provider: Arc<CryptoProvider>) -> Self {
        Self { verification, roots, provider }
    }

    fn check_ca(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        // A server may present a root of our file itself. webpki accepts no CA certificate as a server's, but a
        // self-signed certificate that the user configured is trusted as in other programs, as long as it is valid.
        if self.roots.pinned.iter().any(|root| root == certificate) {
            return distrust::check_dates(certificate, now);
        }
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(certificate)?,
            &self.roots.store,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let check_ca = || {
            self.check_ca(certificate, intermediates, now)
                .map_err(|error| explain(error, certificate, intermediates, &self.roots.label))
        };
        match self.verification {
            Verification::None => {}
            Verification::Ca => check_ca()?,
            Verification::CaAndName => {
                check_ca()?;
                // A pinned certificate may be one that webpki cannot read.
                ParsedCertificate::try_from(certificate)
                    .map_err(|error| explain(error, certificate, intermediates, &self.roots.label))
                    .and_then(|parsed| {
                        verify_server_name(&parsed, name)
                            .map_err(|error| explain_name(error, certificate, name))
                    })?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        handshake_signature::verify_tls12(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        handshake_signature::verify_tls13(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        handshake_signature::schemes(&self.provider.signature_verification_algorithms)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Verifier({:?}, {})", self.verification, self.roots.label)
    }
}

fn explain(
    error: Error,
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &str,
) -> Error {
    let unknown = format!("which is not among {roots}; set root_certificate to the certificate of that CA");
    distrust::reason(&error, certificate, intermediates, &unknown).map_or(error, untrusted)
}

fn explain_name(error: Error, certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Error {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return error };
    let names = names_of(&parsed);
    let has = if names.is_empty() { "no names at all".to_owned() } else { names.join(", ") };
    untrusted(format!("it is not valid for the name \"{}\"; it is for {has}", name.to_str()))
}

/// The DNS names and IP addresses that a certificate is for.
pub(super) fn names_of(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    extension.value.general_names.iter().filter_map(name_of).collect()
}

fn name_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(std::net::Ipv4Addr::from(v4).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string()),
        },
        _ => None,
    }
}

fn untrusted(reason: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Untrusted(reason)))))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use rustls::RootCertStore;

    use super::*;
    use crate::tls::{embedded_roots, provider};

    struct Authority {
        pem: String,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        fn new(name: &str) -> Self {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let pem = params.self_signed(&key).unwrap().pem();
            Self { pem, issuer: Issuer::new(params, key) }
        }

        fn issue(&self, name: &str) -> CertificateDer<'static> {
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().der().clone()
        }
    }

    /// The verifier of a database in this region, with the roots of a bundle.
    fn verifier(bundle: &str, region: &str) -> Verifier {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(embedded_roots::in_bundle(bundle.as_bytes(), region).unwrap());
        let label = format!("the roots of {region}");
        let roots = LoadedRoots { store: Arc::new(store), pinned: Vec::new(), label };
        Verifier::new(Verification::CaAndName, roots, provider())
    }

    #[test]
    fn the_roots_of_a_region_vouch_for_databases_of_that_region_only() {
        let name = "db-1.abc.us-east-1.rds.amazonaws.com";
        let authority = |region: &str| Authority::new(&format!("Amazon RDS {region} Root CA RSA2048 G1"));
        let [home, other, preview] = ["us-east-1", "eu-west-1", "Preview us-east-1"].map(authority);
        let public = Authority::new("Amazon Root CA 1");
        let bundle: String =
            [&home, &other, &preview, &public].iter().map(|authority| authority.pem.as_str()).collect();
        let verifier = verifier(&bundle, "us-east-1");
        let server_name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_hours(500_000));
        let verify = |authority: &Authority| {
            verifier.verify_server_cert(&authority.issue(name), &[], &server_name, &[], now)
        };
        verify(&home).unwrap();
        for stranger in [&other, &preview, &public] {
            let error = verify(stranger).unwrap_err().to_string();
            assert!(error.contains("which is not among the roots of us-east-1"), "{error}");
        }
    }
}

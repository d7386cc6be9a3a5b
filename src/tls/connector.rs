//! TLS towards a server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;

use super::client_cert_resolver::ClientCertResolver;
use super::reload::Reload;
use super::roots::LoadedRoots;
use super::verify::{Verification, Verifier};
use super::{ALPN, Roots, SelfSigned, SslMode, TlsError, pem, provider};
use crate::net::{ReadAhead, Socket, Stream};

/// What a connector demands of a server, and which certificate it sends.
#[derive(Clone)]
pub struct Settings {
    /// How much TLS.
    pub mode: SslMode,
    /// The trusted roots; absent: none were configured, and a mode that verifies uses the system's roots.
    pub roots: Option<Roots>,
    /// The certificate for a server that requests one.
    pub identity: ClientIdentity,
}

/// A client certificate.
#[derive(Clone)]
pub enum ClientIdentity {
    /// Generated at start, in no server's list of roots: some servers require a certificate and accept any.
    Generated(Arc<SelfSigned>),
    /// From PEM files.
    Files {
        /// The certificate, with its chain.
        certificate: PathBuf,
        /// Its private key.
        private_key: PathBuf,
    },
}

/// Makes TLS handshakes with servers. The next connection uses changed files.
pub struct Connector {
    mode: SslMode,
    verification: Verification,
    certificate: Option<PathBuf>,
    config: Arc<Reload<ClientConfig>>,
}

impl Connector {
    /// Loads every file that the settings name.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        let mode = settings.mode;
        let verification = verification(&settings);
        let mut paths = settings.roots.as_ref().map(Roots::paths).unwrap_or_default();
        let mut own_certificate = None;
        if let ClientIdentity::Files { certificate, private_key } = &settings.identity {
            paths.extend([certificate.clone(), private_key.clone()]);
            own_certificate = Some(certificate.clone());
        }
        let config = Reload::new(paths, move || client_config(&settings, verification))?;
        Ok(Self { mode, verification, certificate: own_certificate, config })
    }

    /// How much TLS it demands.
    #[must_use]
    pub fn mode(&self) -> SslMode {
        self.mode
    }

    /// Whether it checks the certificate of the server against roots.
    #[must_use]
    pub fn verifies(&self) -> bool {
        match self.verification {
            Verification::Ca | Verification::CaAndName => true,
            Verification::None => false,
        }
    }

    /// The file of the client certificate; absent if that was generated at start.
    #[must_use]
    pub fn certificate(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    /// Makes the TLS handshake. `host` is the dialled name: the connector sends it (SNI) unless it is an IP address, and
    /// with `verify-full` the certificate must have it.
    pub async fn connect(&self, socket: Socket, host: &str) -> Result<Stream, TlsError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            TlsError::Handshake(format!("\"{host}\" is not a name that a certificate can have"))
        })?;
        let connector = tokio_rustls::TlsConnector::from(self.config.current().await);
        let stream = connector
            .connect(name, ReadAhead::new(socket, &[]))
            .await
            .map_err(|error| TlsError::from_handshake(host, &error))?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Connector({}, {:?})", self.mode, self.verification)
    }
}

fn verification(settings: &Settings) -> Verification {
    match settings.mode {
        SslMode::VerifyFull => Verification::CaAndName,
        SslMode::VerifyCa => Verification::Ca,
        // As in libpq: a configured root turns verification on (PostgreSQL manual, "sslmode").
        SslMode::Require if settings.roots.is_some() => Verification::Ca,
        SslMode::Require | SslMode::Prefer | SslMode::Disable => Verification::None,
    }
}

fn client_config(settings: &Settings, verification: Verification) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let roots = match verification {
        Verification::None => LoadedRoots::empty(),
        Verification::Ca | Verification::CaAndName => {
            settings.roots.as_ref().unwrap_or(&Roots::System).load()?
        }
    };
    let verifier = Verifier::new(verification, roots, Arc::clone(&provider));
    let (chain, key, source) = match &settings.identity {
        ClientIdentity::Generated(generated) => {
            let (chain, key) = generated.chain()?;
            (chain, key, PathBuf::from("(generated)"))
        }
        ClientIdentity::Files { certificate, private_key } => {
            (pem::certificates(certificate)?, pem::private_key(private_key)?, certificate.clone())
        }
    };
    let unusable =
        |error: rustls::Error| TlsError::Unusable { path: source.clone(), reason: error.to_string() };
    let certified = CertifiedKey::from_der(chain, key, &provider).map_err(unusable)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(ClientCertResolver::new(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[tokio::test]
    async fn debug_shows_no_key() {
        let own = Arc::new(SelfSigned::generate(&["localhost".to_owned()]).unwrap());
        let (_, key) = own.chain().unwrap();
        let settings =
            Settings { mode: SslMode::VerifyFull, roots: None, identity: ClientIdentity::Generated(own) };
        let connector = Connector::new(settings).unwrap();
        // The settings of rustls too: one that printed its keys would fail this test.
        let printed = format!("{connector:?} {connector:#?} {:?}", connector.config.current().await);
        assert!(
            printed.contains("Connector(verify-full, CaAndName)") && printed.contains("Verifier("),
            "{printed}"
        );
        let mut bytes = String::new();
        // The key begins with its algorithm; the secret is at its end.
        for byte in key.secret_der().iter().rev().take(8).rev() {
            write!(bytes, "{byte}, ").unwrap();
        }
        assert!(!printed.contains(bytes.trim_end_matches(", ")), "{printed}");
    }
}

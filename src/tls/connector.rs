//! TLS towards a server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;

use super::client_cert_resolver::ClientCertResolver;
use super::reload::Reload;
use super::verify::{Depth, Verifier};
use super::{ALPN, Roots, SelfSigned, SslMode, TlsError, pem, provider};
use crate::net::{ReadAhead, Socket, Stream};

/// What is asked of a server, and what is shown to it.
#[derive(Clone)]
pub struct Settings {
    /// What is demanded.
    pub mode: SslMode,
    /// Who may vouch for the server; absent: nobody was named, which is the system's roots where the mode verifies.
    pub roots: Option<Roots>,
    /// The certificate to show when the server asks for one that it may be.
    pub identity: ClientIdentity,
}

/// A client certificate.
#[derive(Clone)]
pub enum ClientIdentity {
    /// Made at start, trusted by nobody in particular: some servers insist on any certificate at all.
    Generated(Arc<SelfSigned>),
    /// From PEM files.
    Files {
        /// The certificate, with its chain.
        certificate: PathBuf,
        /// Its private key.
        private_key: PathBuf,
    },
}

/// Opens TLS on connections to servers. Changed files count for the next connection.
pub struct Connector {
    mode: SslMode,
    depth: Depth,
    certificate: Option<PathBuf>,
    config: Arc<Reload<ClientConfig>>,
}

impl Connector {
    /// Loads everything the settings name.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        let mode = settings.mode;
        let depth = depth(&settings);
        let mut paths = settings.roots.as_ref().map(Roots::paths).unwrap_or_default();
        let mut own = None;
        if let ClientIdentity::Files { certificate, private_key } = &settings.identity {
            paths.extend([certificate.clone(), private_key.clone()]);
            own = Some(certificate.clone());
        }
        let config = Reload::new(paths, move || client_config(&settings, depth))?;
        Ok(Self { mode, depth, certificate: own, config })
    }

    /// What is demanded.
    #[must_use]
    pub fn mode(&self) -> SslMode {
        self.mode
    }

    /// Whether the server proves who it is, at least to a CA.
    #[must_use]
    pub fn verifies(&self) -> bool {
        self.depth != Depth::Nothing
    }

    /// The file of the certificate that is shown to the server, unless it was made at start.
    #[must_use]
    pub fn certificate(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    /// Makes the TLS handshake. `host` is the name that was dialled: it is sent (SNI), unless it is an IP
    /// address, and with `verify-full` it has to be in the certificate.
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
        write!(formatter, "Connector({}, {:?})", self.mode, self.depth)
    }
}

fn depth(settings: &Settings) -> Depth {
    match settings.mode {
        SslMode::VerifyFull => Depth::CaAndName,
        SslMode::VerifyCa => Depth::Ca,
        // As in libpq: naming a root means that it counts (PostgreSQL manual, "sslmode").
        SslMode::Require if settings.roots.is_some() => Depth::Ca,
        SslMode::Require | SslMode::Prefer | SslMode::Disable => Depth::Nothing,
    }
}

fn client_config(settings: &Settings, depth: Depth) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let roots = match depth {
        Depth::Nothing => super::roots::Loaded::none(),
        Depth::Ca | Depth::CaAndName => settings.roots.as_ref().unwrap_or(&Roots::System).load()?,
    };
    let verifier = Verifier::new(depth, roots, Arc::clone(&provider));
    let (chain, key, source) = match &settings.identity {
        ClientIdentity::Generated(made) => {
            let (chain, key) = made.chain()?;
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
        // What is behind it too: a setting of rustls that shows its keys would be found here.
        let shown = format!("{connector:?} {connector:#?} {:?}", connector.config.current().await);
        assert!(
            shown.contains("Connector(verify-full, CaAndName)") && shown.contains("Verifier("),
            "{shown}"
        );
        let mut bytes = String::new();
        // The end of the key is the key itself; it begins with what kind it is.
        for byte in key.secret_der().iter().rev().take(8).rev() {
            write!(bytes, "{byte}, ").unwrap();
        }
        assert!(!shown.contains(bytes.trim_end_matches(", ")), "{shown}");
    }
}

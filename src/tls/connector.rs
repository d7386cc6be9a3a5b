//! TLS towards a server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;

use super::client_cert_resolver::{ClientCertResolver, NoClientCert};
use super::reload::Reload;
use super::roots::LoadedRoots;
use super::verify::{Verification, Verifier};
use super::{ALPN, ClientIdentity, EXTENSION_ALPN, Roots, Settings, SslMode, TlsError, pem, provider};
use crate::net::{ReadAhead, Socket, Stream};

/// Whether a server that requests a client certificate gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// It gets it.
    Shown,
    /// It gets an empty answer.
    Withheld,
}

/// Makes TLS handshakes with servers. It reads its files before the first handshake, and the next connection uses changed files.
pub struct Connector {
    settings: Settings,
    config: Arc<Reload<ClientConfig>>,
}

impl Connector {
    /// With these settings. Reads no file.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self::offering(settings, &[ALPN])
    }

    /// The same for another half of this program: it may request the parameters of [`EXTENSION_ALPN`].
    #[must_use]
    pub fn offering_extension(settings: Settings) -> Self {
        Self::offering(settings, &[ALPN, EXTENSION_ALPN])
    }

    fn offering(settings: Settings, protocols: &'static [&'static [u8]]) -> Self {
        let made_of = settings.clone();
        let config = Reload::new(settings.paths(), move || client_config(&made_of, protocols));
        Self { settings, config }
    }

    /// Reads every file that the settings name, unless that is done: an error here is that of each handshake. It belongs on
    /// a thread for blocking work once the proxy serves connections.
    pub fn load(&self) -> Result<(), TlsError> {
        self.config.load()
    }

    /// What it demands.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How much TLS it demands.
    #[must_use]
    pub fn mode(&self) -> SslMode {
        self.settings.mode
    }

    /// Whether it checks the certificate of the server against roots.
    #[must_use]
    pub fn verifies(&self) -> bool {
        match self.settings.verification() {
            Verification::Ca | Verification::CaAndName => true,
            Verification::None => false,
        }
    }

    /// The file of the client certificate; absent if that was generated at start.
    #[must_use]
    pub fn certificate(&self) -> Option<&Path> {
        self.settings.identity.certificate()
    }

    /// Makes the TLS handshake. `host` is the dialled name: the connector sends it (SNI) unless it is an IP address, and
    /// with `verify-full` the certificate must have it. The settings may name another one in its place.
    pub async fn connect(
        &self,
        socket: Socket,
        host: &str,
        certificate: ClientCertificate,
    ) -> Result<Stream, TlsError> {
        let host = self.settings.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            TlsError::Handshake(format!("\"{host}\" is not a name that a certificate can have"))
        })?;
        let mut config = self.config.current().await?;
        if certificate == ClientCertificate::Withheld {
            Arc::make_mut(&mut config).client_auth_cert_resolver = Arc::new(NoClientCert);
        }
        let connector = tokio_rustls::TlsConnector::from(config);
        let stream = connector
            .connect(name, ReadAhead::new(socket, &[]))
            .await
            .map_err(|error| TlsError::from_handshake(host, &error))?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Connector({}, {:?})", self.settings.mode, self.settings.verification())
    }
}

fn client_config(settings: &Settings, protocols: &[&[u8]]) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verification = settings.verification();
    let roots = match (verification, &settings.roots) {
        (Verification::None, _) => LoadedRoots::empty(),
        (Verification::Ca | Verification::CaAndName, Some(roots)) => roots.load()?,
        (Verification::Ca, None) => return Err(TlsError::CaWithoutRoots),
        (Verification::CaAndName, None) => Roots::System.load()?,
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
    let certified = CertifiedKey::from_der(chain.clone(), key, &provider)
        .map_err(|error| TlsError::unusable(&source, &chain, &error))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(ClientCertResolver::new(certified)));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::tls::SelfSigned;

    #[tokio::test]
    async fn debug_shows_no_key() {
        let own = Arc::new(SelfSigned::generate(&["localhost".to_owned()]).unwrap());
        let (_, key) = own.chain().unwrap();
        let settings = Settings::new(SslMode::VerifyFull, ClientIdentity::Generated(own));
        let connector = Connector::new(settings);
        assert!(Arc::ptr_eq(connector.config.current().await.unwrap().crypto_provider(), &provider()));
        // The settings of rustls too: one that printed its keys would fail this test.
        let printed = format!("{connector:?} {connector:#?} {:?}", connector.config.current().await.unwrap());
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

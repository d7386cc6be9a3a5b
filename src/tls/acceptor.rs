//! TLS towards applications.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;

use super::client_auth::ClientCheck;
use super::reload::Reload;
use super::{
    ClientAuth, ClientCertificateError, SelfSigned, ServerIdentity, ServerSettings, TlsError, VerifiedClient,
    pem, provider,
};
use crate::net::{ReadAhead, Socket, Stream};

/// Makes TLS handshakes with applications. The next connection uses changed files. Clones share the certificate.
#[derive(Clone)]
pub struct Acceptor {
    settings: Arc<ServerSettings>,
    loaded: Arc<Reload<Loaded>>,
}

/// The settings with the content of their files.
struct Loaded {
    config: Arc<ServerConfig>,
    client_check: Option<ClientCheck>,
}

/// An application with which TLS was made.
pub struct Encrypted {
    /// The connection.
    pub stream: Stream,
    /// Its verified certificate, if it sent one; or why it must not be served.
    pub client: Result<Option<VerifiedClient>, ClientCertificateError>,
}

impl Acceptor {
    /// Loads the files, or generates the certificate.
    pub fn new(settings: ServerSettings) -> Result<Self, TlsError> {
        let settings = Arc::new(settings);
        let of_files = Arc::clone(&settings);
        let loaded = Reload::new(settings.paths(), move || load(&of_files));
        loaded.load()?;
        Ok(Self { settings, loaded })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    /// Makes the TLS handshake; `first` is its beginning, which was already read. An application that offers protocols by
    /// ALPN must offer one that this selects.
    pub async fn accept(&self, socket: Socket, first: &[u8]) -> Result<Encrypted, TlsError> {
        let loaded = self.loaded.current().await?;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&loaded.config));
        let stream = acceptor
            .accept(ReadAhead::new(socket, first))
            .await
            .map_err(|error| TlsError::from_handshake("the application", &error))?;
        let chain = stream.get_ref().1.peer_certificates();
        let client = loaded.client_check.as_ref().map_or(Ok(None), |check| check.verify(chain));
        Ok(Encrypted { stream: Stream::Tls(Box::new(stream.into())), client })
    }
}

fn load(settings: &ServerSettings) -> Result<Loaded, TlsError> {
    let (chain, key, source) = match &settings.identity {
        ServerIdentity::SelfSigned { hosts } => {
            let (chain, key) = SelfSigned::generate(hosts)?.chain()?;
            (chain, key, PathBuf::from("(generated)"))
        }
        ServerIdentity::Files { certificate, private_key } => {
            (pem::certificates(certificate)?, pem::private_key(private_key)?, certificate.clone())
        }
    };
    let client_check = settings.client_auth.as_ref().map(ClientAuth::load).transpose()?;
    let verifier =
        client_check.as_ref().map_or_else(WebPkiClientVerifier::no_client_auth, ClientCheck::request);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key)
        .map_err(|error| TlsError::unusable(&source, &chain, &error))?;
    config.alpn_protocols = settings.protocols();
    Ok(Loaded { config: Arc::new(config), client_check })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_uses_the_provider_of_the_process() {
        let identity = ServerIdentity::SelfSigned { hosts: vec!["localhost".to_owned()] };
        let acceptor = Acceptor::new(ServerSettings::new(identity)).unwrap();
        let loaded = acceptor.loaded.current().await.unwrap();
        assert!(Arc::ptr_eq(loaded.config.crypto_provider(), &provider()));
    }
}

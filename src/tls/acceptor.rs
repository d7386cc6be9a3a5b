//! TLS towards applications.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;

use super::certificate_choice::CertificateChoice;
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
    let default = settings.identity.load()?;
    let others = settings.by_name.iter().map(ServerIdentity::load).collect::<Result<_, _>>()?;
    let client_check = settings.client_auth.as_ref().map(ClientAuth::load).transpose()?;
    let verifier =
        client_check.as_ref().map_or_else(WebPkiClientVerifier::no_client_auth, ClientCheck::request);
    let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&settings.versions())
        .map_err(setup)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(CertificateChoice::new(default, others)));
    config.alpn_protocols = settings.protocols();
    // A resumed session has the names and the certificates of the first one. The keys of the tickets are made here, so files that
    // have changed end all tickets from before.
    config.ticketer = Ticketer::new().map_err(setup)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Loaded { config: Arc::new(config), client_check })
}

impl ServerIdentity {
    fn load(&self) -> Result<CertifiedKey, TlsError> {
        let (chain, key, source) = match self {
            Self::SelfSigned { hosts } => {
                let (chain, key) = SelfSigned::generate(hosts)?.chain()?;
                (chain, key, PathBuf::from("(generated)"))
            }
            Self::Files { certificate, private_key } => {
                (pem::certificates(certificate)?, pem::private_key(private_key)?, certificate.clone())
            }
        };
        CertifiedKey::from_der(chain.clone(), key, &provider())
            .map_err(|error| TlsError::unusable(&source, &chain, &error))
    }
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

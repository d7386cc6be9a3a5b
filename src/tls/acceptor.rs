//! TLS towards applications.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;

use super::reload::Reload;
use super::{ALPN, EXTENSION_ALPN, SelfSigned, TlsError, pem, provider};
use crate::net::{ReadAhead, Socket, Stream};

/// The certificate that applications see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerIdentity {
    /// Generated at start, for these names.
    SelfSigned {
        /// DNS names and IP addresses.
        hosts: Vec<String>,
    },
    /// From PEM files.
    Files {
        /// The certificate, with its chain.
        certificate: PathBuf,
        /// Its private key.
        private_key: PathBuf,
    },
}

/// Makes TLS handshakes with applications. The next connection uses changed files. Clones share the certificate.
#[derive(Clone)]
pub struct Acceptor {
    identity: Arc<ServerIdentity>,
    config: Arc<Reload<ServerConfig>>,
    required: bool,
}

impl Acceptor {
    /// Loads or generates the certificate.
    pub fn new(identity: ServerIdentity) -> Result<Self, TlsError> {
        Self::selecting(identity, &[ALPN])
    }

    /// The same for clients of this program: requests the parameters of [`EXTENSION_ALPN`] from those that offer it.
    pub fn selecting_extension(identity: ServerIdentity) -> Result<Self, TlsError> {
        // The order is that of the server's preference.
        Self::selecting(identity, &[EXTENSION_ALPN, ALPN])
    }

    fn selecting(identity: ServerIdentity, protocols: &'static [&'static [u8]]) -> Result<Self, TlsError> {
        let paths = match &identity {
            ServerIdentity::SelfSigned { .. } => Vec::new(),
            ServerIdentity::Files { certificate, private_key } => {
                vec![certificate.clone(), private_key.clone()]
            }
        };
        let identity = Arc::new(identity);
        let loaded = Arc::clone(&identity);
        let config = Reload::new(paths, move || server_config(&loaded, protocols));
        config.load()?;
        Ok(Self { identity, config, required: false })
    }

    /// The same acceptor, for a listener that refuses plaintext, or that does not.
    #[must_use]
    pub fn required(self, required: bool) -> Self {
        Self { required, ..self }
    }

    /// Whether the listener refuses plaintext.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// The certificate that applications see.
    #[must_use]
    pub fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    /// Makes the TLS handshake; `first` is its beginning, which was already read. An application that offers protocols by
    /// ALPN must offer one that this selects.
    pub async fn accept(&self, socket: Socket, first: &[u8]) -> Result<Stream, TlsError> {
        let acceptor = tokio_rustls::TlsAcceptor::from(self.config.current().await?);
        let stream = acceptor
            .accept(ReadAhead::new(socket, first))
            .await
            .map_err(|error| TlsError::from_handshake("the application", &error))?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

fn server_config(identity: &ServerIdentity, protocols: &[&[u8]]) -> Result<ServerConfig, TlsError> {
    let (chain, key, source) = match identity {
        ServerIdentity::SelfSigned { hosts } => {
            let (chain, key) = SelfSigned::generate(hosts)?.chain()?;
            (chain, key, PathBuf::from("(generated)"))
        }
        ServerIdentity::Files { certificate, private_key } => {
            (pem::certificates(certificate)?, pem::private_key(private_key)?, certificate.clone())
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain.clone(), key)
        .map_err(|error| TlsError::unusable(&source, &chain, &error))?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_uses_the_provider_of_the_process() {
        let acceptor =
            Acceptor::new(ServerIdentity::SelfSigned { hosts: vec!["localhost".to_owned()] }).unwrap();
        let config = acceptor.config.current().await.unwrap();
        assert!(Arc::ptr_eq(config.crypto_provider(), &provider()));
    }
}

//! What TLS towards applications demands, and which certificate they see.

use std::path::PathBuf;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use super::{ALPN, ClientAuth, EXTENSION_ALPN};

/// The settings of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The certificate that applications see.
    pub identity: ServerIdentity,
    /// Others, for the server names (SNI) in them.
    pub by_name: Vec<ServerIdentity>,
    /// The least version of TLS.
    pub min_version: MinVersion,
    /// Refuses plaintext.
    pub required: bool,
    /// Requests client certificates; absent: none.
    pub client_auth: Option<ClientAuth>,
    /// Requests the parameters of [`EXTENSION_ALPN`] from clients of this program that offer it.
    pub selects_extension: bool,
}

/// The least version of TLS that a listener accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2, the least of this program.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A certificate that applications see.
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

impl ServerSettings {
    /// With this certificate, TLS as an offer, and without client certificates.
    #[must_use]
    pub fn new(identity: ServerIdentity) -> Self {
        Self {
            identity,
            by_name: Vec::new(),
            min_version: MinVersion::default(),
            required: false,
            client_auth: None,
            selects_extension: false,
        }
    }

    /// Whether an application without TLS is refused. It cannot send a client certificate.
    #[must_use]
    pub fn refuses_plaintext(&self) -> bool {
        self.required || self.requires_client_certificates()
    }

    /// Whether an application without a client certificate is refused.
    #[must_use]
    pub fn requires_client_certificates(&self) -> bool {
        self.client_auth.as_ref().is_some_and(|auth| auth.required)
    }

    /// The certificate files whose expiry ends service.
    #[must_use]
    pub fn certificates(&self) -> Vec<PathBuf> {
        let own = self.identities().filter_map(|identity| match identity {
            ServerIdentity::Files { certificate, .. } => Some(certificate),
            ServerIdentity::SelfSigned { .. } => None,
        });
        let ca = self.client_auth.as_ref().map(|auth| &auth.ca).filter(|ca| ca.is_file());
        own.chain(ca).cloned().collect()
    }

    /// The protocols that the listener selects by ALPN, the preferred one first.
    pub(super) fn protocols(&self) -> Vec<Vec<u8>> {
        let extension = self.selects_extension.then(|| EXTENSION_ALPN.to_vec());
        extension.into_iter().chain([ALPN.to_vec()]).collect()
    }

    /// The versions of TLS that the listener accepts.
    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        match self.min_version {
            MinVersion::Tls12 => vec![&TLS13, &TLS12],
            MinVersion::Tls13 => vec![&TLS13],
        }
    }

    /// The files that they name.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let mut paths = self.client_auth.as_ref().map(ClientAuth::paths).unwrap_or_default();
        for identity in self.identities() {
            if let ServerIdentity::Files { certificate, private_key } = identity {
                paths.extend([certificate.clone(), private_key.clone()]);
            }
        }
        paths
    }

    /// All certificates, the default one first.
    fn identities(&self) -> impl Iterator<Item = &ServerIdentity> {
        [&self.identity].into_iter().chain(&self.by_name)
    }
}

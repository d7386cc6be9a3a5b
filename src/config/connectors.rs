//! TLS towards servers: modes, roots and client certificates.

use std::sync::Arc;

use super::cert_pair::{self, CertPair, RawCertPair};
use super::environment::Environment;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw::{ProxySsl, Ssl};
use super::settings::SELF_SIGNED_HOSTS;
use crate::tls::{ClientIdentity, Connector, Roots, SelfSigned, Settings, SslMode};

/// Makes connectors that share the client certificate of `proxy.ssl`.
pub(super) struct Connectors<'a> {
    pub(super) environment: &'a Environment,
    inherited: Identity,
}

/// A client certificate.
#[derive(Clone)]
enum Identity {
    Generated(Arc<SelfSigned>),
    Files(CertPair),
}

impl<'a> Connectors<'a> {
    /// With the client certificate of `section` (`proxy.ssl`), or one that this generates.
    pub(super) fn new(
        section: &KeyPath,
        ssl: &ProxySsl,
        environment: &'a Environment,
    ) -> Result<Self, KeyError> {
        let raw = RawCertPair {
            section,
            certificate: ("client_certificate", ssl.client_certificate.as_ref()),
            private_key: ("client_private_key", ssl.client_private_key.as_ref()),
        };
        let inherited = if let Some(pair) = raw.files(environment)? {
            Identity::Files(pair)
        } else {
            let generated = SelfSigned::generate(&SELF_SIGNED_HOSTS.map(String::from))
                .map_err(|error| KeyError::of_key(section.clone(), error.to_string()))?;
            Identity::Generated(Arc::new(generated))
        };
        Ok(Self { environment, inherited })
    }

    /// The connector of an `ssl` section. Defaults: `mode`, no roots, and the inherited certificate.
    pub(super) fn of_section(
        &self,
        section: &KeyPath,
        ssl: &Ssl,
        mode: SslMode,
    ) -> Result<Arc<Connector>, KeyError> {
        let identity = self.identity(section, ssl)?;
        let root = section.key("root_certificate");
        let roots = cert_pair::file(&root, ssl.root_certificate.as_ref(), self.environment)?.map(Roots::Path);
        if roots.is_some() && ssl.mode.is_none() && mode == SslMode::Disable {
            let reason = "TLS is off here unless `mode` is set, so this has no effect; \
                          set `mode: verify-full` or `mode: verify-ca` as well";
            return Err(KeyError::of_key(root, reason));
        }
        let mode = ssl.mode.as_ref().map_or(mode, |mode| mode.0);
        connector(mode, roots, &identity, &root)
    }

    /// A connector with these roots and the inherited certificate; `root` is the key of the roots, for errors.
    pub(super) fn with_roots(
        &self,
        mode: SslMode,
        roots: Option<Roots>,
        root: &KeyPath,
    ) -> Result<Arc<Connector>, KeyError> {
        connector(mode, roots, &self.inherited, root)
    }

    fn identity(&self, section: &KeyPath, ssl: &Ssl) -> Result<Identity, KeyError> {
        let certificate = match (&ssl.client_certificate, &ssl.client_cert) {
            (Some(_), Some(_)) => {
                let reason = "`client_certificate` and `client_cert` are the same key; remove one of the two";
                return Err(KeyError::of_key(section.key("client_cert"), reason));
            }
            (None, Some(short)) => ("client_cert", Some(short)),
            (long, None) => ("client_certificate", long.as_ref()),
        };
        let private_key = ("client_private_key", ssl.client_private_key.as_ref());
        let own = RawCertPair { section, certificate, private_key }.files(self.environment)?;
        Ok(own.map_or_else(|| self.inherited.clone(), Identity::Files))
    }
}

fn connector(
    mode: SslMode,
    roots: Option<Roots>,
    identity: &Identity,
    root: &KeyPath,
) -> Result<Arc<Connector>, KeyError> {
    let client_identity = match identity {
        Identity::Generated(own) => ClientIdentity::Generated(Arc::clone(own)),
        Identity::Files(pair) => pair.client_identity(),
    };
    Connector::new(Settings { mode, roots, identity: client_identity }).map(Arc::new).map_err(|error| {
        let key = match identity {
            Identity::Files(pair) => pair.key_of(&error).unwrap_or(root),
            Identity::Generated(_) => root,
        };
        KeyError::of_value(key.clone(), error.to_string())
    })
}

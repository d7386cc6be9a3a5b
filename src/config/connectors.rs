//! TLS towards servers: modes, roots and client certificates.

use std::sync::Arc;

use super::cert_pair::{self, CertPair, RawCertPair};
use super::environment::Environment;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw::{ProxySsl, Ssl};
use super::settings::SELF_SIGNED_HOSTS;
use crate::tls::{
    ClientIdentity, Connector, Negotiation, Overrides, Roots, SelfSigned, Settings, SslMode, TlsError,
};

/// Makes connectors that share the client certificate of `proxy.ssl`.
pub(super) struct Connectors<'a> {
    pub(super) environment: &'a Environment,
    /// The files of the shared certificate; absent if that was generated.
    pair: Option<CertPair>,
    identity: ClientIdentity,
}

/// An `ssl` section.
struct Section<'a> {
    path: &'a KeyPath,
    overrides: Overrides,
    /// The files of its client certificate.
    pair: Option<CertPair>,
}

impl Section<'_> {
    fn is_direct(&self) -> bool {
        self.overrides.negotiation == Some(Negotiation::Direct)
    }
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
        let pair = raw.files(environment)?;
        let identity = if let Some(pair) = &pair {
            pair.client_identity()
        } else {
            let generated = SelfSigned::generate(&SELF_SIGNED_HOSTS.map(String::from))
                .map_err(|error| KeyError::of_key(section.clone(), error.to_string()))?;
            ClientIdentity::Generated(Arc::new(generated))
        };
        Ok(Self { environment, pair, identity })
    }

    /// The settings of an absent `ssl` section with this mode: no roots, and the shared certificate.
    pub(super) fn defaults(&self, mode: SslMode) -> Settings {
        Settings::new(mode, self.identity.clone())
    }

    /// The connector of an upstream proxy's `ssl` section, whose `mode` has this default. Roots without a mode demand
    /// verification, which `prefer` does not do: they mean at least `require`, and so `verify-ca`. Direct TLS demands TLS.
    pub(super) fn of_section(
        &self,
        path: &KeyPath,
        ssl: &Ssl,
        mode: SslMode,
    ) -> Result<Arc<Connector>, KeyError> {
        let section = self.section(path, ssl)?;
        let demands_tls = section.overrides.roots.is_some() || section.is_direct();
        let mode = if demands_tls && mode == SslMode::Prefer { SslMode::Require } else { mode };
        let settings = self.defaults(mode).with(&section.overrides);
        self.load(&section, Connector::offering_extension(settings)).map(Arc::new)
    }

    /// Checks the keys of an `ssl` section without its files. An unset variable in their paths is no error. `discovery` may
    /// supply roots.
    pub(super) fn check_keys(&self, path: &KeyPath, ssl: &Ssl, discovery: bool) -> Result<(), KeyError> {
        match self.section(path, ssl) {
            Ok(section) if !discovery => check_roots(&section),
            Err(error) if !error.is_unset() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// What the `ssl` section of a target sets. `discovery` may find the target's host, and the roots of RDS then are the
    /// default; so only the section's own files are checked here.
    pub(super) fn overrides(
        &self,
        path: &KeyPath,
        ssl: &Ssl,
        discovery: bool,
    ) -> Result<Overrides, KeyError> {
        let section = self.section(path, ssl)?;
        let mut settings = self.defaults(SslMode::Require).with(&section.overrides);
        if discovery && settings.roots.is_none() {
            settings.mode = SslMode::Require;
        }
        self.load(&section, Connector::new(settings))?;
        Ok(section.overrides)
    }

    /// Checks that these settings can be used, with the shared certificate; `root` is the key of their roots.
    pub(super) fn check(&self, settings: Settings, root: &KeyPath) -> Result<(), KeyError> {
        let connector = Connector::new(settings);
        connector.load().map_err(|error| key_error(self.pair.as_ref(), root, &error))
    }

    fn section<'p>(&self, path: &'p KeyPath, ssl: &Ssl) -> Result<Section<'p>, KeyError> {
        let pair = self.pair_of(path, ssl)?;
        let root = path.key("root_certificate");
        let roots = cert_pair::file(&root, ssl.root_certificate.as_ref(), self.environment)?.map(Roots::Path);
        let mode = ssl.mode.as_ref().map(|mode| mode.0);
        let identity = pair.as_ref().map(CertPair::client_identity);
        let server_name = ssl.server_name.as_ref().map(|name| name.0.0.clone());
        let negotiation = ssl.negotiation.as_ref().map(|negotiation| negotiation.0);
        let section =
            Section { path, overrides: Overrides { mode, roots, identity, server_name, negotiation }, pair };
        if let Some(SslMode::Disable | SslMode::Prefer) = mode
            && section.is_direct()
        {
            let reason = "direct TLS has no plaintext to go on with; it needs the mode require, verify-ca or verify-full";
            return Err(KeyError::of_value(path.key("negotiation"), reason));
        }
        Ok(section)
    }

    fn pair_of(&self, path: &KeyPath, ssl: &Ssl) -> Result<Option<CertPair>, KeyError> {
        let certificate = match (&ssl.client_certificate, &ssl.client_cert) {
            (Some(_), Some(_)) => {
                let reason = "`client_certificate` and `client_cert` are the same key; remove one of the two";
                return Err(KeyError::of_key(path.key("client_cert"), reason));
            }
            (None, Some(short)) => ("client_cert", Some(short)),
            (long, None) => ("client_certificate", long.as_ref()),
        };
        let private_key = ("client_private_key", ssl.client_private_key.as_ref());
        RawCertPair { section: path, certificate, private_key }.files(self.environment)
    }

    fn load(&self, section: &Section<'_>, connector: Connector) -> Result<Connector, KeyError> {
        connector.load().map_err(|error| {
            if matches!(error, TlsError::CaWithoutRoots) {
                return KeyError::of_key(section.path.key("mode"), error.to_string());
            }
            let pair = section.pair.as_ref().or(self.pair.as_ref());
            key_error(pair, &section.path.key("root_certificate"), &error)
        })?;
        Ok(connector)
    }
}

/// Refuses `verify-ca` without roots.
fn check_roots(section: &Section<'_>) -> Result<(), KeyError> {
    let Overrides { mode, roots, .. } = &section.overrides;
    if *mode == Some(SslMode::VerifyCa) && roots.is_none() {
        return Err(KeyError::of_key(section.path.key("mode"), TlsError::CaWithoutRoots.to_string()));
    }
    Ok(())
}

/// The error at the key that names the file: one of the pair, else the roots.
fn key_error(pair: Option<&CertPair>, root: &KeyPath, error: &TlsError) -> KeyError {
    let key = pair.and_then(|pair| pair.key_of(error)).unwrap_or(root);
    KeyError::of_value(key.clone(), error.to_string())
}

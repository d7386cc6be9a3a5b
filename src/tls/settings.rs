//! What TLS towards a server demands.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::verify::Verification;
use super::{Negotiation, Roots, SelfSigned, SslMode};

/// What a connector demands of a server, and which certificate it sends.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// How much TLS.
    pub mode: SslMode,
    /// The trusted roots; absent: none were configured, and `verify-full` uses the system's roots.
    pub roots: Option<Roots>,
    /// The certificate for a server that requests one.
    pub identity: ClientIdentity,
    /// The name that the connector sends and the certificate must have; absent: the dialled one.
    pub server_name: Option<String>,
    /// How TLS begins.
    pub negotiation: Negotiation,
}

/// The settings of an `ssl` section. What is absent keeps its default.
#[derive(Clone, Default)]
pub struct Overrides {
    /// `mode`.
    pub mode: Option<SslMode>,
    /// `root_certificate`.
    pub roots: Option<Roots>,
    /// `client_certificate` and `client_private_key`.
    pub identity: Option<ClientIdentity>,
    /// `server_name`.
    pub server_name: Option<String>,
    /// `negotiation`.
    pub negotiation: Option<Negotiation>,
}

/// A client certificate.
#[derive(Clone, PartialEq, Eq, Hash)]
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

impl Settings {
    /// With this mode and certificate: no roots, the dialled name, and an SSLRequest.
    #[must_use]
    pub fn new(mode: SslMode, identity: ClientIdentity) -> Self {
        Self { mode, roots: None, identity, server_name: None, negotiation: Negotiation::default() }
    }

    /// These settings as defaults below those of a section, key by key. A section with a mode that does not verify keeps no
    /// default roots: `require` verifies only against a `root_certificate` beside it.
    #[must_use]
    pub fn with(&self, overrides: &Overrides) -> Self {
        let mode = overrides.mode.unwrap_or(self.mode);
        // Everybody can get a certificate from a public root, so the name has to be verified too. libpq refuses `verify-ca` with
        // `sslrootcert=system` for the same reason.
        let counts = |roots: &Roots| mode == SslMode::VerifyFull || *roots != Roots::Amazon;
        let default_roots = || self.roots.clone().filter(|roots| mode.verifies() && counts(roots));
        Self {
            mode,
            roots: overrides.roots.clone().or_else(default_roots),
            identity: overrides.identity.as_ref().unwrap_or(&self.identity).clone(),
            server_name: overrides.server_name.as_ref().or(self.server_name.as_ref()).cloned(),
            negotiation: overrides.negotiation.unwrap_or(self.negotiation),
        }
    }

    pub(super) fn verification(&self) -> Verification {
        match self.mode {
            SslMode::VerifyFull => Verification::CaAndName,
            SslMode::VerifyCa => Verification::Ca,
            // As in libpq: a configured root turns verification on (PostgreSQL manual, "sslmode").
            SslMode::Require if self.roots.is_some() => Verification::Ca,
            SslMode::Require | SslMode::Prefer | SslMode::Disable => Verification::None,
        }
    }

    /// The files that they name.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let mut paths = self.roots.as_ref().map(Roots::paths).unwrap_or_default();
        if let ClientIdentity::Files { certificate, private_key } = &self.identity {
            paths.extend([certificate.clone(), private_key.clone()]);
        }
        paths
    }
}

impl Overrides {
    /// Whether the defaults decide against what a certificate is verified.
    #[must_use]
    pub fn leaves_verification_open(&self) -> bool {
        match self.mode {
            None => true,
            Some(mode) => mode.verifies() && self.roots.is_none(),
        }
    }
}

impl ClientIdentity {
    /// The file of the certificate; absent if that was generated.
    #[must_use]
    pub fn certificate(&self) -> Option<&Path> {
        match self {
            Self::Generated(_) => None,
            Self::Files { certificate, .. } => Some(certificate),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Settings({}, {:?})", self.mode, self.verification())
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Overrides({:?})", self.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rds() -> Roots {
        Roots::Rds { region: "us-east-1".into() }
    }

    fn files() -> ClientIdentity {
        ClientIdentity::Files { certificate: "a.pem".into(), private_key: "a.key".into() }
    }

    fn discovered() -> Settings {
        let own = SelfSigned::generate(&[]).unwrap();
        let identity = ClientIdentity::Generated(Arc::new(own));
        Settings { roots: Some(rds()), ..Settings::new(SslMode::VerifyFull, identity) }
    }

    #[test]
    fn each_key_of_a_section_leaves_the_other_defaults() {
        let defaults = discovered();
        assert_eq!(defaults.with(&Overrides::default()), defaults);
        let identity = Overrides { identity: Some(files()), ..Overrides::default() };
        assert_eq!(defaults.with(&identity), Settings { identity: files(), ..defaults.clone() });
        let name = Overrides { server_name: Some("a.example".into()), ..Overrides::default() };
        let named = Settings { server_name: Some("a.example".into()), ..defaults.clone() };
        assert_eq!(defaults.with(&name), named);
        let own = Roots::Path("ca.pem".into());
        let roots = Overrides { roots: Some(own.clone()), ..Overrides::default() };
        assert_eq!(defaults.with(&roots), Settings { roots: Some(own), ..defaults.clone() });
        for mode in [SslMode::VerifyFull, SslMode::VerifyCa] {
            let mode = Overrides { mode: Some(mode), ..Overrides::default() };
            assert_eq!(defaults.with(&mode).roots, Some(rds()));
        }
    }

    #[test]
    fn a_mode_that_does_not_verify_is_obeyed() {
        for mode in [SslMode::Require, SslMode::Prefer, SslMode::Disable] {
            let mode = Overrides { mode: Some(mode), ..Overrides::default() };
            let settings = discovered().with(&mode);
            assert_eq!(settings.verification(), Verification::None, "{settings:?}");
        }
        let rooted = Overrides { mode: Some(SslMode::Require), roots: Some(rds()), ..Overrides::default() };
        assert_eq!(discovered().with(&rooted).verification(), Verification::Ca);
    }

    #[test]
    fn public_roots_are_no_default_where_the_name_does_not_count() {
        let proxy = Settings { roots: Some(Roots::Amazon), ..discovered() };
        for (mode, roots) in [(SslMode::VerifyFull, Some(Roots::Amazon)), (SslMode::VerifyCa, None)] {
            let mode = Overrides { mode: Some(mode), ..Overrides::default() };
            assert_eq!(proxy.with(&mode).roots, roots);
        }
    }

    #[test]
    fn debug_shows_neither_files_nor_keys() {
        let settings = discovered();
        let overrides = Overrides { identity: Some(settings.identity.clone()), ..Overrides::default() };
        let printed = format!("{settings:?} {overrides:?}");
        assert_eq!(printed, "Settings(verify-full, CaAndName) Overrides(None)");
    }
}

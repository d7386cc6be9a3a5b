//! Trusted certificate authorities.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::{TlsError, embedded_roots, pem};

/// Where trusted roots come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Roots {
    /// The roots of the operating system.
    System,
    /// The roots of RDS in one region, embedded in the binary. They sign the certificates of DB instances and clusters.
    Rds {
        /// The AWS region, such as `us-east-1`.
        region: String,
    },
    /// The public roots of Amazon, embedded in the binary. They sign the certificates of RDS Proxy endpoints, not of DB
    /// instances: everybody can get a certificate from them.
    Amazon,
    /// A PEM file, or a directory of PEM files.
    Path(PathBuf),
}

/// Roots that a verifier can use.
pub(super) struct LoadedRoots {
    pub(super) store: Arc<RootCertStore>,
    /// The certificates of [`Roots::Path`]: a server may present one of them itself.
    pub(super) pinned: Vec<CertificateDer<'static>>,
    /// Their name in errors.
    pub(super) label: String,
}

impl Roots {
    /// The paths to load again when they change.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Path(path) => vec![path.clone()],
            Self::System | Self::Rds { .. } | Self::Amazon => Vec::new(),
        }
    }

    pub(super) fn load(&self) -> Result<LoadedRoots, TlsError> {
        let certificates = match self {
            Self::System => system()?,
            Self::Rds { region } => embedded_roots::of_rds(region)?,
            Self::Amazon => embedded_roots::of_amazon(),
            Self::Path(path) => pem::certificates_at(path)?,
        };
        let mut store = RootCertStore::empty();
        // A bundle may hold a root that webpki cannot use; the others stay usable.
        let (added, _ignored) = store.add_parsable_certificates(certificates.iter().cloned());
        let label = format!("the {added} root certificates of {self}");
        let pinned = match self {
            Self::Path(_) => certificates,
            Self::System | Self::Rds { .. } | Self::Amazon => Vec::new(),
        };
        Ok(LoadedRoots { store: Arc::new(store), pinned, label })
    }
}

impl LoadedRoots {
    /// No roots, for modes that verify nothing.
    pub(super) fn empty() -> Self {
        Self {
            store: Arc::new(RootCertStore::empty()),
            pinned: Vec::new(),
            label: "no root certificates".into(),
        }
    }
}

impl fmt::Display for Roots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => formatter.write_str("the system"),
            Self::Rds { region } => write!(formatter, "RDS in {region}"),
            Self::Amazon => formatter.write_str("Amazon"),
            Self::Path(path) => write!(formatter, "{}", path.display()),
        }
    }
}

fn system() -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::NoSystemRoots { reason: reasons.join("; ") });
    }
    Ok(found.certs)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_provides_the_roots_of_all_its_files() {
        let directory = tempfile::tempdir().unwrap();
        let error = Roots::Path(directory.path().into()).load().err().unwrap().to_string();
        assert!(error.contains("holds no certificate"), "{error}");
        for name in ["a", "b"] {
            let generated = crate::tls::SelfSigned::generate(&[name.to_owned()]).unwrap();
            fs::write(directory.path().join(name).with_extension("pem"), &generated.certificate_pem).unwrap();
        }
        fs::write(directory.path().join("README"), "no certificate").unwrap();
        assert_eq!(Roots::Path(directory.path().into()).load().unwrap().store.len(), 2);
    }
}

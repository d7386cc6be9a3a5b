//! Trusted certificate authorities.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::{PemItem, TlsError, pem};

/// The RDS roots of the regions that docs/security.md names, and the Amazon roots that RDS Proxy endpoints chain to.
/// `build/ca/refresh.sh` updates the file.
/// Source: <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>
const RDS_BUNDLE: &[u8] = include_bytes!("../../build/ca/rds-bundle.pem");

/// Where trusted roots come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The roots of the operating system.
    System,
    /// The roots of RDS that are embedded in the binary.
    RdsBundle,
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
            Self::System | Self::RdsBundle => Vec::new(),
        }
    }

    pub(super) fn load(&self) -> Result<LoadedRoots, TlsError> {
        let certificates = match self {
            Self::System => system()?,
            Self::RdsBundle => pem::certificates_in(RDS_BUNDLE),
            Self::Path(path) => from_path(path)?,
        };
        let mut store = RootCertStore::empty();
        // A bundle may hold a root that webpki cannot use; the others stay usable.
        let (added, _ignored) = store.add_parsable_certificates(certificates.iter().cloned());
        let label = format!("the {added} root certificates of {self}");
        let pinned = match self {
            Self::Path(_) => certificates,
            Self::System | Self::RdsBundle => Vec::new(),
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
            Self::RdsBundle => formatter.write_str("the embedded RDS bundle"),
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

/// A file, or every file of a directory that holds a certificate.
fn from_path(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    if !path.is_dir() {
        return pem::certificates(path);
    }
    let unreadable =
        |source| TlsError::Unreadable { what: "the certificate directory", path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.sort();
    let found: Vec<_> = files
        .iter()
        .filter(|file| file.is_file())
        .filter_map(|file| pem::certificates(file).ok())
        .flatten()
        .collect();
    if found.is_empty() {
        return Err(TlsError::Empty { what: PemItem::Certificate, path: path.to_owned() });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_root_is_usable() {
        let count = RDS_BUNDLE.windows(27).filter(|window| window == b"-----BEGIN CERTIFICATE-----").count();
        assert!(count > 80, "{count}");
        assert_eq!(Roots::RdsBundle.load().unwrap().store.len(), count);
    }

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

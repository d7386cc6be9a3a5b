//! Which certificate authorities are trusted.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::{TlsError, pem};

/// The RDS roots of the regions that docs/security.md names, and the Amazon roots that RDS Proxy endpoints chain to; `build/ca/refresh.sh` renews it.
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

/// Roots, loaded.
pub(super) struct Loaded {
    pub(super) store: Arc<RootCertStore>,
    /// The certificates of a `Path`: a server may present one of them itself.
    pub(super) pinned: Vec<CertificateDer<'static>>,
    /// How to call them in an error.
    pub(super) label: String,
}

impl Roots {
    /// The files whose change means that the roots have to be loaded again.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Path(path) => vec![path.clone()],
            Self::System | Self::RdsBundle => Vec::new(),
        }
    }

    pub(super) fn load(&self) -> Result<Loaded, TlsError> {
        let certificates = match self {
            Self::System => system()?,
            Self::RdsBundle => pem::certificates_in(RDS_BUNDLE),
            Self::Path(path) => from_path(path)?,
        };
        let mut store = RootCertStore::empty();
        // A bundle may hold a root that webpki cannot use; the others still count.
        let (added, _ignored) = store.add_parsable_certificates(certificates.iter().cloned());
        let label = format!("the {added} root certificates of {self}");
        let pinned = if matches!(self, Self::Path(_)) { certificates } else { Vec::new() };
        Ok(Loaded { store: Arc::new(store), pinned, label })
    }
}

impl Loaded {
    /// Trusts nobody, for modes that do not ask.
    pub(super) fn none() -> Self {
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
        return Err(TlsError::Empty { what: "certificate", path: path.to_owned() });
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
    fn a_directory_counts_all_its_files() {
        let directory = tempfile::tempdir().unwrap();
        let error = Roots::Path(directory.path().into()).load().err().unwrap().to_string();
        assert!(error.contains("holds no certificate"), "{error}");
        for name in ["a", "b"] {
            let made = crate::tls::SelfSigned::generate(&[name.to_owned()]).unwrap();
            fs::write(directory.path().join(name).with_extension("pem"), &made.certificate_pem).unwrap();
        }
        fs::write(directory.path().join("README"), "no certificate").unwrap();
        assert_eq!(Roots::Path(directory.path().into()).load().unwrap().store.len(), 2);
    }
}

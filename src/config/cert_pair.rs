//! A certificate and its private key: two keys of one section, of which both are set or neither.

use std::path::{Path, PathBuf};

use tracing::warn;

use super::environment::Environment;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::scalars::{Parsed, PathText};
use crate::secret::everyone_may_read;
use crate::tls::{ClientIdentity, PemItem, ServerIdentity, TlsError};

/// The values of both keys.
pub(super) struct RawCertPair<'a> {
    pub(super) section: &'a KeyPath,
    pub(super) certificate: (&'a str, Option<&'a Parsed<PathText>>),
    pub(super) private_key: (&'a str, Option<&'a Parsed<PathText>>),
}

/// The paths of both files, each with its key in the configuration.
#[derive(Clone)]
pub(super) struct CertPair {
    certificate: (KeyPath, PathBuf),
    private_key: (KeyPath, PathBuf),
}

impl RawCertPair<'_> {
    /// The paths; absent if neither key is set.
    pub(super) fn files(&self, environment: &Environment) -> Result<Option<CertPair>, KeyError> {
        let certificate = self.file(self.certificate, environment)?;
        let private_key = self.file(self.private_key, environment)?;
        match (certificate, private_key) {
            (Some(certificate), Some(private_key)) => {
                warn_of_readers(&private_key);
                Ok(Some(CertPair { certificate, private_key }))
            }
            (Some(_), None) => Err(self.incomplete(self.certificate.0, self.private_key.0)),
            (None, Some(_)) => Err(self.incomplete(self.private_key.0, self.certificate.0)),
            (None, None) => Ok(None),
        }
    }

    fn file(
        &self,
        (name, raw): (&str, Option<&Parsed<PathText>>),
        environment: &Environment,
    ) -> Result<Option<(KeyPath, PathBuf)>, KeyError> {
        let key = self.section.key(name);
        let path = file(&key, raw, environment)?;
        Ok(path.map(|path| (key, path)))
    }

    fn incomplete(&self, present: &str, missing: &str) -> KeyError {
        let reason = format!("`{present}` needs `{missing}`, which is missing");
        KeyError::of_key(self.section.key(present), reason)
    }
}

impl CertPair {
    pub(super) fn client_identity(&self) -> ClientIdentity {
        ClientIdentity::Files {
            certificate: self.certificate.1.clone(),
            private_key: self.private_key.1.clone(),
        }
    }

    pub(super) fn server_identity(&self) -> ServerIdentity {
        ServerIdentity::Files {
            certificate: self.certificate.1.clone(),
            private_key: self.private_key.1.clone(),
        }
    }

    /// The path of the certificate.
    pub(super) fn certificate(&self) -> &Path {
        &self.certificate.1
    }

    /// The key whose file the error is about; absent if it is about another file or none.
    pub(super) fn key_of(&self, error: &TlsError) -> Option<&KeyPath> {
        let path = error.path()?;
        let keys = match error {
            // Both keys may name one file, in which a certificate was found before.
            TlsError::Empty { what: PemItem::PrivateKey, .. } => [&self.private_key, &self.certificate],
            _ => [&self.certificate, &self.private_key],
        };
        keys.into_iter().find(|(_, file)| file == path).map(|(key, _)| key)
    }
}

/// The path may come from outside the file, so only the key is logged.
fn warn_of_readers((key, path): &(KeyPath, PathBuf)) {
    if everyone_may_read(path) {
        warn!(%key, "every user may read this private key; remove the permission (chmod o-r)");
    }
}

/// The path of one key, expanded.
pub(super) fn file(
    key: &KeyPath,
    raw: Option<&Parsed<PathText>>,
    environment: &Environment,
) -> Result<Option<PathBuf>, KeyError> {
    let expanded = raw.map(|Parsed(PathText(text))| environment.path(text)).transpose();
    expanded.map_err(|unset| KeyError::of_unset(key.clone(), unset.reason()))
}

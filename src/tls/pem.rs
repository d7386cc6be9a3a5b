//! PEM files: certificates and keys.

use std::fs;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{PemItem, TlsError};
use crate::file_access;

/// All certificates in a file, in their order. A file without any is an error.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path, "the certificate file")?;
    let found = certificates_in(&text);
    if found.is_empty() {
        return Err(TlsError::Empty { what: PemItem::Certificate, path: path.to_owned() });
    }
    Ok(found)
}

/// The certificates of a file, or of every file of a directory that holds one.
pub(super) fn certificates_at(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    items_at(path, certificates, PemItem::Certificate)
}

/// The certificate revocation lists of a file, or of every file of a directory that holds one.
pub(super) fn revocation_lists_at(
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    items_at(path, revocation_lists, PemItem::RevocationList)
}

fn items_at<T>(
    path: &Path,
    items: fn(&Path) -> Result<Vec<T>, TlsError>,
    what: PemItem,
) -> Result<Vec<T>, TlsError> {
    if !path.is_dir() {
        return items(path);
    }
    let unreadable =
        |source| TlsError::Unreadable { what: "the certificate directory", path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.sort();
    let (mut found, mut unreadable) = (Vec::new(), None);
    for file in files.iter().filter(|file| file.is_file()) {
        match items(file) {
            Ok(items) => found.extend(items),
            Err(error @ TlsError::Unreadable { .. }) => unreadable = Some(error),
            // Such directories have other files too.
            Err(_) => {}
        }
    }
    if found.is_empty() {
        return Err(unreadable.unwrap_or_else(|| TlsError::Empty { what, path: path.to_owned() }));
    }
    Ok(found)
}

/// All revocation lists in a file. A file without any is an error.
fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let text = read(path, "the certificate revocation list")?;
    let found: Vec<_> = rustls_pemfile::crls(&mut text.as_slice()).filter_map(Result::ok).collect();
    if found.is_empty() {
        return Err(TlsError::Empty { what: PemItem::RevocationList, path: path.to_owned() });
    }
    Ok(found)
}

/// All certificates in a PEM text; everything else in it is ignored.
pub(super) fn certificates_in(text: &[u8]) -> Vec<CertificateDer<'static>> {
    rustls_pemfile::certs(&mut &*text).filter_map(Result::ok).collect()
}

/// The certificates in a PEM text that can be trust anchors.
#[must_use]
pub fn usable_certificates(text: &[u8]) -> Vec<CertificateDer<'static>> {
    let is_usable =
        |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
    certificates_in(text).into_iter().filter(is_usable).collect()
}

/// The first private key in a file (PKCS #8, PKCS #1 or SEC 1, not encrypted).
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = Zeroizing::new(read(path, "the private key")?);
    let found = rustls_pemfile::private_key(&mut text.as_slice()).ok().flatten();
    found.ok_or_else(|| TlsError::Empty { what: PemItem::PrivateKey, path: path.to_owned() })
}

fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    file_access::read(path).map_err(|source| TlsError::Unreadable { what, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_shows_a_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        for text in [
            "hunter2",
            "-----BEGIN PRIVATE KEY-----\nhunter2\n",
            "-----BEGIN PRIVATE KEY-----\n%hunter2%\n-----END PRIVATE KEY-----\n",
        ] {
            fs::write(&path, text).unwrap();
            let error = private_key(&path).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}

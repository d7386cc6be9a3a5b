//! When a certificate file runs out.

use std::path::Path;

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{TlsError, pem};

/// When the first certificate of the file runs out, in seconds since 1970; absent where it holds none that can be read.
pub fn expiry(path: &Path) -> Result<Option<i64>, TlsError> {
    let certificates = pem::certificates(path)?;
    let ends = certificates.iter().filter_map(|certificate| X509Certificate::from_der(certificate).ok());
    Ok(ends.map(|(_, certificate)| certificate.validity().not_after.timestamp()).min())
}

//! Resolves what `proxy.ssl` demands of client certificates.

use super::cert_pair;
use super::environment::Environment;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw::ProxySsl;
use super::tls_scalars::ClientAuthMode;
use crate::tls::ClientAuth;

/// The demands; absent where no client certificate is requested. `section` is `proxy.ssl`.
pub(super) fn resolve(
    section: &KeyPath,
    ssl: &ProxySsl,
    environment: &Environment,
) -> Result<Option<ClientAuth>, KeyError> {
    let file = |name: &str, raw| cert_pair::file(&section.key(name), raw, environment);
    let (ca, crl) =
        (file("client_ca", ssl.client_ca.as_ref())?, file("client_crl", ssl.client_crl.as_ref())?);
    let mode = ssl.client_auth.as_ref().map(|mode| mode.0);
    match (ca, mode) {
        (None, Some(ClientAuthMode::Request | ClientAuthMode::Require)) => {
            let reason = "client certificates need `client_ca`, the certificate of the CA that signs them";
            Err(KeyError::of_value(section.key("client_auth"), reason))
        }
        (None, None | Some(ClientAuthMode::None)) if crl.is_some() => {
            let reason = "has no effect without `client_ca` and `client_auth`";
            Err(KeyError::of_key(section.key("client_crl"), format!("`client_crl` {reason}")))
        }
        (Some(_), None) => {
            let reason = "has no effect without `client_auth`; set that to require, or to request where applications may come \
                          without a certificate";
            Err(KeyError::of_key(section.key("client_ca"), format!("`client_ca` {reason}")))
        }
        (_, None | Some(ClientAuthMode::None)) => Ok(None),
        (Some(ca), Some(mode)) => Ok(Some(ClientAuth { ca, crl, required: mode == ClientAuthMode::Require })),
    }
}

/// Whether applications need a client certificate, as far as the keys say so.
pub(super) fn is_required(ssl: &ProxySsl) -> bool {
    ssl.client_auth.as_ref().is_some_and(|mode| mode.0 == ClientAuthMode::Require)
}

/// Whether client certificates are requested.
pub(super) fn is_requested(ssl: &ProxySsl) -> bool {
    ssl.client_auth.as_ref().is_some_and(|mode| mode.0 != ClientAuthMode::None)
}

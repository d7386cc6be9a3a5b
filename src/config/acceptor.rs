//! Resolves TLS towards applications: `proxy.ssl` without the client certificate that it shows upstream.

use super::cert_pair::{self, CertPair, RawCertPair};
use super::environment::Environment;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::mode::Mode;
use super::raw::ProxySsl;
use super::settings::SELF_SIGNED_HOSTS;
use super::tls_scalars::ClientAuthMode;
use crate::tls::{Acceptor, ClientAuth, ServerIdentity, ServerSettings, TlsError};

/// The acceptor with its files loaded; absent where TLS is off. `section` is `proxy.ssl`.
pub(super) fn resolve(
    section: &KeyPath,
    ssl: &ProxySsl,
    mode: Mode,
    environment: &Environment,
) -> Result<Option<Acceptor>, KeyError> {
    let raw = RawCertPair {
        section,
        certificate: ("certificate", ssl.certificate.as_ref()),
        private_key: ("private_key", ssl.private_key.as_ref()),
    };
    let pair = raw.files(environment)?;
    let client_auth = client_auth(section, ssl, environment)?;
    if !ssl.enabled.unwrap_or(false) {
        return without_tls(section, ssl).map(|()| None);
    }
    let identity = match &pair {
        Some(pair) => pair.server_identity(),
        None => ServerIdentity::SelfSigned { hosts: SELF_SIGNED_HOSTS.map(String::from).into() },
    };
    let settings = ServerSettings {
        identity,
        required: ssl.required.unwrap_or(false),
        client_auth,
        selects_extension: mode == Mode::Server,
    };
    Acceptor::new(settings.clone()).map(Some).map_err(|error| {
        let key = key_of(section, pair.as_ref(), &settings, &error);
        KeyError::of_value(key, error.to_string())
    })
}

/// Whether applications need a client certificate, as far as the keys say so.
pub(super) fn requires_client_certificates(ssl: &ProxySsl) -> bool {
    ssl.enabled == Some(true) && mode_of(ssl) == ClientAuthMode::Require
}

/// Whether client certificates are requested.
pub(super) fn requests_client_certificates(ssl: &ProxySsl) -> bool {
    mode_of(ssl) != ClientAuthMode::None
}

fn mode_of(ssl: &ProxySsl) -> ClientAuthMode {
    ssl.client_auth.as_ref().map_or(ClientAuthMode::None, |mode| mode.0)
}

/// Refuses keys that need TLS.
fn without_tls(section: &KeyPath, ssl: &ProxySsl) -> Result<(), KeyError> {
    let keys = [
        ("required", ssl.required.unwrap_or(false)),
        ("client_auth", mode_of(ssl) == ClientAuthMode::Require),
    ];
    match keys.into_iter().find(|(_, is_set)| *is_set) {
        Some((key, _)) => {
            let reason =
                "TLS is off here, so this would refuse every connection; set `enabled: true` as well";
            Err(KeyError::of_value(section.key(key), reason))
        }
        None if requests_client_certificates(ssl) => {
            let reason = "client certificates need TLS, which is off here; set `enabled: true` as well";
            Err(KeyError::of_value(section.key("client_auth"), reason))
        }
        None => Ok(()),
    }
}

fn client_auth(
    section: &KeyPath,
    ssl: &ProxySsl,
    environment: &Environment,
) -> Result<Option<ClientAuth>, KeyError> {
    let key = section.key("client_ca");
    let Some(ca) = cert_pair::file(&key, ssl.client_ca.as_ref(), environment)? else {
        let reason = "client certificates need `client_ca`, the certificate of the CA that signs them";
        let without = KeyError::of_value(section.key("client_auth"), reason);
        return if requests_client_certificates(ssl) { Err(without) } else { Ok(None) };
    };
    let required = match ssl.client_auth.as_ref().map(|mode| mode.0) {
        None => {
            let reason = "has no effect without `client_auth`; set that to require, or to request where applications may come \
                          without a certificate";
            return Err(KeyError::of_key(key, format!("`client_ca` {reason}")));
        }
        Some(ClientAuthMode::None) => return Ok(None),
        Some(ClientAuthMode::Request) => false,
        Some(ClientAuthMode::Require) => true,
    };
    Ok(Some(ClientAuth { ca, required }))
}

/// The key that names the file of the error, else the section.
fn key_of(
    section: &KeyPath,
    pair: Option<&CertPair>,
    settings: &ServerSettings,
    error: &TlsError,
) -> KeyPath {
    if let Some(key) = pair.and_then(|pair| pair.key_of(error)) {
        return key.clone();
    }
    match &settings.client_auth {
        Some(auth) if error.path().is_some_and(|path| path.starts_with(&auth.ca)) => section.key("client_ca"),
        Some(_) | None => section.clone(),
    }
}

//! Resolves TLS towards applications: `proxy.ssl` without the client certificate that it shows upstream.

use std::path::Path;

use super::cert_pair::{CertPair, RawCertPair};
use super::client_auth;
use super::environment::Environment;
use super::key_error::KeyError;
use super::key_path::{KeyPath, Step};
use super::mode::Mode;
use super::raw::{NamedCertificate, ProxySsl};
use super::settings::SELF_SIGNED_HOSTS;
use crate::tls::{Acceptor, PemItem, ServerIdentity, ServerSettings, TlsError, all_expired, expired};

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
    let own = raw.files(environment)?;
    let by_name = by_name(section, &ssl.certificates, environment)?;
    let client_auth = client_auth::resolve(section, ssl, environment)?;
    if !ssl.enabled.unwrap_or(false) {
        return without_tls(section, ssl).map(|()| None);
    }
    let identity = match own.as_ref().or(by_name.first()) {
        Some(pair) => pair.server_identity(),
        None => ServerIdentity::SelfSigned { hosts: SELF_SIGNED_HOSTS.map(String::from).into() },
    };
    let settings = ServerSettings {
        identity,
        by_name: by_name.iter().map(CertPair::server_identity).collect(),
        min_version: ssl.min_version.as_ref().map(|version| version.0).unwrap_or_default(),
        required: ssl.required.unwrap_or(false),
        client_auth,
        selects_extension: mode == Mode::Server,
    };
    let pairs: Vec<_> = own.iter().chain(&by_name).collect();
    let fails =
        |error: &TlsError| KeyError::of_value(key_of(section, &pairs, &settings, error), error.to_string());
    let acceptor = Acceptor::new(settings.clone()).map_err(|error| fails(&error))?;
    // At a later reading of the files such a certificate breaks nothing else, so these errors are those of a configuration.
    let mut expired = by_name.iter().filter_map(|pair| expired(pair.certificate()));
    let ca = || settings.client_auth.as_ref().and_then(|auth| all_expired(&auth.ca));
    match expired.next().or_else(ca) {
        Some(error) => Err(fails(&error)),
        None => Ok(Some(acceptor)),
    }
}

/// The certificates of `certificates`.
fn by_name(
    section: &KeyPath,
    certificates: &[NamedCertificate],
    environment: &Environment,
) -> Result<Vec<CertPair>, KeyError> {
    let pair = |(index, entry): (usize, &NamedCertificate)| {
        let mut section = section.key("certificates");
        section.0.push(Step::Index(index));
        let raw = RawCertPair {
            section: &section,
            certificate: ("certificate", entry.certificate.as_ref()),
            private_key: ("private_key", entry.private_key.as_ref()),
        };
        let missing = "an entry needs `certificate` and `private_key`, the paths of two PEM files";
        raw.files(environment)?.ok_or_else(|| KeyError::of_value(section.clone(), missing))
    };
    certificates.iter().enumerate().map(pair).collect()
}

/// Refuses keys that need TLS.
fn without_tls(section: &KeyPath, ssl: &ProxySsl) -> Result<(), KeyError> {
    let keys = [("required", ssl.required.unwrap_or(false)), ("client_auth", client_auth::is_required(ssl))];
    match keys.into_iter().find(|(_, is_set)| *is_set) {
        Some((key, _)) => {
            let reason =
                "TLS is off here, so this would refuse every connection; set `enabled: true` as well";
            Err(KeyError::of_value(section.key(key), reason))
        }
        None if client_auth::is_requested(ssl) => {
            let reason = "client certificates need TLS, which is off here; set `enabled: true` as well";
            Err(KeyError::of_value(section.key("client_auth"), reason))
        }
        None => Ok(()),
    }
}

/// The key that names the file of the error, else the section.
fn key_of(section: &KeyPath, pairs: &[&CertPair], settings: &ServerSettings, error: &TlsError) -> KeyPath {
    // One file may have both.
    if let TlsError::Empty { what: PemItem::RevocationList, .. } = error {
        return section.key("client_crl");
    }
    if let Some(key) = pairs.iter().find_map(|pair| pair.key_of(error)) {
        return key.clone();
    }
    let (Some(auth), Some(path)) = (&settings.client_auth, error.path()) else { return section.clone() };
    let is_in = |named: &Path| path.starts_with(named);
    if is_in(&auth.ca) {
        section.key("client_ca")
    } else if auth.crl.as_deref().is_some_and(is_in) {
        section.key("client_crl")
    } else {
        section.clone()
    }
}

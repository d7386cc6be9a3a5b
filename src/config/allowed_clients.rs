//! `allowed_client_names` of targets.

use std::sync::Arc;

use super::client_auth;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw::{RawConfig, Target};
use crate::catalog::AllowedClients;

const KEY: &str = "allowed_client_names";

/// The names of an entry; absent where all applications may reach it.
pub(super) fn of(entry: &Target) -> Option<Arc<AllowedClients>> {
    let names = entry.allowed_client_names.as_ref()?;
    Some(Arc::new(AllowedClients::new(names.iter().map(|name| name.0.0.clone()).collect())))
}

/// Refuses lists that would refuse every application.
pub(super) fn check(raw: &RawConfig) -> Result<(), KeyError> {
    for (target, entry) in &raw.targets {
        let Some(names) = &entry.allowed_client_names else { continue };
        let reason = if !client_auth::is_requested(&raw.proxy.ssl) {
            "no client certificate is requested, so this would refuse every connection; set `proxy.ssl.client_ca` and \
             `proxy.ssl.client_auth: require` as well"
        } else if names.is_empty() {
            "an empty list would refuse every connection; name the client certificates that may reach this target, or remove the key"
        } else {
            continue;
        };
        return Err(KeyError::of_key(KeyPath::of(&["targets", target, KEY]), reason));
    }
    Ok(())
}

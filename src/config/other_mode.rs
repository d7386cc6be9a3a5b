//! Recognizes the configuration of a server in a client.

use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::mode::Mode;
use super::raw::RawConfig;
use super::remote;

/// Refuses a file without `upstream_proxies` for a client that needs them, if the file sets what only a server uses. Without
/// this error the client would ask for changes that a server must not have.
pub(super) fn refuse(raw: &RawConfig, mode: Mode) -> Result<(), KeyError> {
    let needs_upstream = match mode {
        Mode::Client => true,
        Mode::DirectClient | Mode::Server => false,
    };
    if !needs_upstream || !raw.upstream_proxies.is_empty() {
        return Ok(());
    }
    let Some(path) = key_of_server(raw) else { return Ok(()) };
    let reason = "this is the configuration of a server: it has this key and no `upstream_proxies`; give a client its own \
                  file with --configfile, or add `upstream_proxies` with the address of the server";
    Err(KeyError::of_key(path, reason))
}

/// A key that has no use in a client behind a server.
fn key_of_server(raw: &RawConfig) -> Option<KeyPath> {
    let proxy = &raw.proxy;
    let listens_everywhere =
        proxy.listen_addr.as_ref().is_some_and(|address| remote::is_remote(&address.0.0));
    let keys: [(&[&str], bool); 4] = [
        (&["proxy", "target_acl", "allowed_rds_tags"], !proxy.target_acl.allowed_rds_tags.is_empty()),
        (&["proxy", "target_acl", "blocked_rds_tags"], !proxy.target_acl.blocked_rds_tags.is_empty()),
        (&["rds", "require_iam"], raw.rds.require_iam == Some(true)),
        (&["proxy", "listen_addr"], listens_everywhere && !remote::is_allowed(proxy)),
    ];
    keys.into_iter().find(|(_, is_set)| *is_set).map(|(path, _)| KeyPath::of(path))
}

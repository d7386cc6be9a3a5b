//! Whether a client may accept connections from other machines. Each of them would get the identity of the client's user, so
//! the configuration must say it.

use super::client_auth;
use super::error::ConfigError;
use super::key_error::{KeyError, quoted};
use super::key_path::KeyPath;
use super::mode::Mode;
use super::raw::Proxy;
use super::settings::Config;
use crate::net::Address;

/// Why it is refused, and the lines to change. It follows the address.
const REFUSAL: &str = "is not a loopback address, and every machine that reaches it could log in with your AWS identity; \
                       use 127.0.0.1, or add the line `allow_remote: true` below `proxy:` (a container needs that line: \
                       publish its port at 127.0.0.1 only), or require client certificates with `client_auth: require` below \
                       `ssl:`";

/// Whether the configuration allows it: in words, or because every application has to show a client certificate.
pub(super) fn is_allowed(proxy: &Proxy) -> bool {
    proxy.allow_remote.unwrap_or(false)
        || (proxy.ssl.enabled == Some(true) && client_auth::is_required(&proxy.ssl))
}

/// Refuses an address for a client that is an IP address beyond loopback, `:PORT` included. [`Config::check_bound`] checks
/// names, which only the system can resolve.
pub(super) fn check(listen: &Address, allowed: bool, mode: Mode) -> Result<(), KeyError> {
    let is_client = match mode {
        Mode::Client | Mode::DirectClient => true,
        Mode::Server => false,
    };
    if is_client && !allowed && is_remote(listen) {
        let key = KeyPath::of(&["proxy", "listen_addr"]);
        return Err(KeyError::refused(key, quoted(&listen.to_string()), REFUSAL));
    }
    Ok(())
}

impl Config {
    /// Whether a client may listen at [`Config::listen`]; it may always listen at an address that a flag names, see
    /// [`Config::check_bound`].
    ///
    /// # Errors
    /// Other machines can reach that address, and the configuration does not allow it.
    pub fn check_listen(&self) -> Result<(), &ConfigError> {
        self.listen_refused.as_deref().map_or(Ok(()), Err)
    }

    /// For a client that is bound to `bound`, before it accepts a connection: whether other machines can reach it. `typed` is the
    /// address as `setting` has it.
    ///
    /// # Errors
    /// They can, and the configuration does not allow it. The text names the line to add.
    pub fn check_bound(&self, setting: &str, typed: &Address, bound: &Address) -> Result<bool, String> {
        match is_remote(bound) {
            true if !self.allow_remote && is_remote(typed) => Err(format!("{setting}: {typed} {REFUSAL}")),
            true if !self.allow_remote => Err(format!("{setting}: {typed} is {bound} here, which {REFUSAL}")),
            remote => Ok(remote),
        }
    }
}

/// Whether it is an IP address beyond loopback. The wildcard addresses are.
pub(super) fn is_remote(address: &Address) -> bool {
    match address {
        Address::Tcp(address) => address.ip().is_some_and(|address| !address.is_loopback()),
        Address::Unix(_) => false,
    }
}

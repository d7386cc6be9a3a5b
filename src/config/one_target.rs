//! The configuration of a server for one target, without a file and without AWS.

use std::path::Path;

use super::environment::Environment;
use super::error::ConfigError;
use super::key_error::KeyError;
use super::mode::Mode;
use super::raw::{RawConfig, Ssl, Target};
use super::resolve;
use super::scalars::{HostName, ListenAddress, Parsed, PathText};
use super::settings::Config;
use crate::net::{Address, HostPort};
use crate::tls::SslMode;

/// What flags say about it. Paths are as in the configuration.
pub struct OneTarget {
    /// The address of the database.
    pub host: HostPort,
    /// The roots of its certificate; absent: the system's.
    pub ca: Option<String>,
    /// The name in its certificate; absent: the one in `host`.
    pub server_name: Option<String>,
    /// The certificate that applications see; absent: a self-signed one.
    pub certificate: Option<String>,
    /// Its private key.
    pub private_key: Option<String>,
    /// Where it listens; absent: the default of a server.
    pub listen: Option<Address>,
    /// Refuses applications without TLS.
    pub require_tls: bool,
}

/// The configuration with this target for every connection, verified in full, and without discovery. Errors name the key that the
/// value would have in a file.
pub fn of_one_target(target: OneTarget) -> Result<Config, ConfigError> {
    let located = |error: KeyError| ConfigError::invalid(Path::new("the command line"), None, &error);
    let environment = Environment::of_process();
    resolve::resolve(raw(target), Mode::Server, &environment, Vec::new(), &located).map_err(located)
}

fn raw(target: OneTarget) -> RawConfig {
    let path = |path: Option<String>| path.map(|path| Parsed(PathText(path)));
    let mut raw = RawConfig::default();
    let name = target.host.host.clone();
    raw.rds.enabled = Some(false);
    raw.proxy.default_target = Some(name.clone());
    raw.proxy.accept_host_parameter = Some(false);
    raw.proxy.listen_addr = target.listen.map(|address| Parsed(ListenAddress(address)));
    raw.proxy.ssl.enabled = Some(true);
    raw.proxy.ssl.required = Some(target.require_tls);
    raw.proxy.ssl.certificate = path(target.certificate);
    raw.proxy.ssl.private_key = path(target.private_key);
    let ssl = Ssl {
        mode: Some(Parsed(SslMode::VerifyFull)),
        root_certificate: path(target.ca),
        server_name: target.server_name.map(|name| Parsed(HostName(name))),
        ..Ssl::default()
    };
    let entry = Target { host: Some(Parsed(target.host)), ssl: Some(ssl), ..Target::default() };
    raw.targets.insert(name, entry);
    raw
}

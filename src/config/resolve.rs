//! Resolves the raw configuration to settings.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;

use super::cert_pair;
use super::connectors::Connectors;
use super::environment::Environment;
use super::error::ConfigError;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::mode::Mode;
use super::raw::{Proxy, RawConfig, Ssl, Tag, TargetAcl};
use super::remark::Remark;
use super::scalars::Parsed;
use super::settings::{Addresses, Config, Rds};
use super::{
    acceptor, accounts, allowed_clients, front_door, identity, other_mode, proxy_protocol, remote, targets,
    timeouts, upstream,
};
use crate::catalog::{self, Acl, DefaultTls};
use crate::net::{Address, HostPort};
use crate::session::Limits;
use crate::tls::{Overrides, Roots, SslMode};

/// Adds the defaults of `mode`, refuses contradictions, and loads the certificates that the mode uses. `locate` adds the
/// position to an error that counts only later.
pub(super) fn resolve(
    raw: RawConfig,
    mode: Mode,
    environment: &Environment,
    remarks: Vec<Remark>,
    locate: &dyn Fn(KeyError) -> ConfigError,
) -> Result<Config, KeyError> {
    other_mode::refuse(&raw, mode)?;
    let section = KeyPath::of(&["proxy", "ssl"]);
    let connectors = Connectors::new(&section, &raw.proxy.ssl, environment)?;
    let default_tls = default_tls(&raw, mode, &connectors)?;
    let front_door = Arc::new(front_door::resolve(&raw, mode)?);
    allowed_clients::check(&raw)?;
    let mut upstreams = BTreeMap::new();
    for (name, entry) in raw.upstream_proxies {
        if mode.dials_upstreams() {
            upstreams.insert(name.clone(), upstream::resolve(name, entry, &connectors, locate)?);
        } else {
            upstream::check(&name, entry, &connectors)?;
        }
    }
    let discovery = raw.rds.enabled.unwrap_or(true);
    let ssl = |path: &KeyPath, ssl: &Ssl| {
        // Otherwise only the server makes TLS with databases.
        if mode.dials_databases() {
            return connectors.overrides(path, ssl, discovery);
        }
        connectors.check_keys(path, ssl, discovery).map(|()| Overrides::default())
    };
    let (targets, named) = targets::resolve(raw.targets, discovery, ssl)?;
    let allow_remote = remote::is_allowed(&raw.proxy);
    let listen = raw.proxy.listen_addr.clone().map_or_else(|| default_listen(mode), |address| address.0.0);
    let refused = remote::check(&listen, allow_remote, mode);
    let admin_socket = admin_socket(&raw.proxy, environment)?;
    let rds = Rds {
        enabled: discovery,
        regions: raw.rds.regions,
        require_iam: raw.rds.require_iam.unwrap_or(false),
        max_age: timeouts::max_age(raw.rds.max_age.map(|age| age.0))?,
    };
    Ok(Config {
        acceptor: acceptor::resolve(&section, &raw.proxy.ssl, mode, environment)?,
        upstreams,
        targets,
        named,
        front_door,
        default_tls,
        limits: limits(&raw.proxy, mode)?,
        stop: timeouts::stop(&raw.proxy)?,
        accounts: accounts::resolve(raw.accounts, &rds)?,
        rds,
        load_balancers: proxy_protocol::resolve(raw.proxy.load_balancers.as_ref(), mode, &listen)?,
        listen,
        listen_refused: refused.err().map(|error| Arc::new(locate(error))),
        allow_remote,
        // A listener that other machines may reach without a certificate is open to them anyway.
        allow_other_users: [raw.proxy.allow_remote, raw.proxy.allow_other_users].contains(&Some(true)),
        admin: raw.proxy.admin_addr.map(|address| address.0.0),
        admin_hosts: raw.proxy.admin_hosts.into_iter().map(|name| name.0.0).collect(),
        admin_socket,
        log_level: raw.proxy.log_level.map_or(LevelFilter::INFO, |level| level.0),
        sso_login: raw.aws.sso_login.is_none_or(|login| login.0.0),
        aws: identity::resolve(&KeyPath::of(&["aws"]), raw.aws.profile, raw.aws.assume_role)?,
        audit_on_full: raw.audit.on_full.map(|on_full| on_full.0).unwrap_or_default(),
        acl: acl(raw.proxy.target_acl),
        remarks,
    })
}

/// The addresses alone: checks no other key and loads no certificate.
pub(super) fn addresses(raw: RawConfig, environment: &Environment) -> Result<Addresses, KeyError> {
    let admin_socket = admin_socket(&raw.proxy, environment)?;
    let listen = match raw.proxy.listen_addr {
        Some(address) => vec![address.0.0],
        None if raw.upstream_proxies.is_empty() => vec![default_listen(Mode::Server)],
        None => vec![default_listen(Mode::Server), default_listen(Mode::Client)],
    };
    Ok(Addresses { admin: raw.proxy.admin_addr.map(|address| address.0.0), admin_socket, listen })
}

fn admin_socket(proxy: &Proxy, environment: &Environment) -> Result<Option<PathBuf>, KeyError> {
    let key = KeyPath::of(&["proxy", "admin_socket"]);
    cert_pair::file(&key, proxy.admin_socket.as_ref(), environment)
}

/// Without the roots of `rds` where the mode makes no TLS with databases.
fn default_tls(raw: &RawConfig, mode: Mode, connectors: &Connectors<'_>) -> Result<DefaultTls, KeyError> {
    let root = KeyPath::of(&["rds", "root_certificate"]);
    let written = raw.rds.root_certificate.as_ref().filter(|_| mode.dials_databases());
    let path = cert_pair::file(&root, written, connectors.environment)?;
    let tls = DefaultTls { fixed: connectors.defaults(SslMode::Require), rds_roots: path.map(Roots::Path) };
    let mut checked = tls.fixed.clone();
    // The embedded ones depend on the region, and need no check.
    if let Some(roots) = &tls.rds_roots {
        (checked.mode, checked.roots) = (SslMode::VerifyFull, Some(roots.clone()));
    }
    connectors.check(checked, &root)?;
    Ok(tls)
}

fn limits(proxy: &Proxy, mode: Mode) -> Result<Limits, KeyError> {
    let count = |raw: &Option<Parsed<NonZeroUsize>>| raw.as_ref().map(|number| number.0.get());
    let default = Limits::default();
    let max_connections_per_peer = count(&proxy.max_connections_per_peer);
    let logins_per_peer = default.max_logins_per_peer.min(max_connections_per_peer.unwrap_or(usize::MAX));
    Ok(Limits {
        max_connections: count(&proxy.max_connections).unwrap_or(default.max_connections),
        max_connections_per_peer,
        max_logins_per_target: count(&proxy.max_logins_per_target).unwrap_or(default.max_logins_per_target),
        max_logins_per_peer: count(&proxy.max_logins_per_peer).unwrap_or(logins_per_peer),
        handshake_timeout: timeouts::deadline(
            "handshake_timeout",
            proxy.handshake_timeout.as_ref(),
            default.handshake_timeout,
        )?,
        connect_timeout: timeouts::deadline(
            "connect_timeout",
            proxy.connect_timeout.as_ref(),
            default.connect_timeout,
        )?,
        idle_timeout: timeouts::idle(proxy)?,
        cancel_on_disconnect: proxy.cancel_on_disconnect.unwrap_or(mode == Mode::Server),
    })
}

fn default_listen(mode: Mode) -> Address {
    Address::Tcp(match mode {
        // A connection to the client's port has the developer's access.
        Mode::Client | Mode::DirectClient => HostPort::new("127.0.0.1", 8001),
        Mode::Server => HostPort::new("0.0.0.0", 8000),
    })
}

fn acl(raw: TargetAcl) -> Acl {
    let tags = |raw: Vec<Tag>| {
        raw.into_iter().map(|tag| catalog::Tag { name: tag.name, value: tag.value }).collect()
    };
    Acl { allowed: tags(raw.allowed_rds_tags), blocked: tags(raw.blocked_rds_tags) }
}

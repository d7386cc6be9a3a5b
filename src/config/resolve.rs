//! From what was written to what it means.

use std::num::NonZeroUsize;

use tracing::level_filters::LevelFilter;

use super::fault::{Fault, KeyPath};
use super::pair::{self, WrittenPair};
use super::scalars::Parsed;
use super::settings::{Config, Mode, Rds, SELF_SIGNED_HOSTS};
use super::surroundings::Surroundings;
use super::tls::Connectors;
use super::written::{Proxy, ProxySsl, Tag, Target, TargetAcl, Written};
use super::{times, upstream};
use crate::catalog::{self, Acl, DefaultTls, StaticTarget};
use crate::net::{Address, HostPort};
use crate::session::Limits;
use crate::tls::{Acceptor, Roots, ServerIdentity, SslMode};

/// Fills in the defaults of `mode`, refuses what contradicts itself, and loads certificates.
pub(super) fn resolve(written: Written, mode: Mode, around: &Surroundings) -> Result<Config, Fault> {
    let section = KeyPath::of(&["proxy", "ssl"]);
    let connectors = Connectors::new(&section, &written.proxy.ssl, around)?;
    let default_tls = default_tls(&written, &connectors)?;
    let upstreams = written.upstream_proxies.into_iter().map(|(name, entry)| {
        upstream::resolve(name, entry, &connectors).map(|upstream| (upstream.name.clone(), upstream))
    });
    let targets = written.targets.into_iter().map(|(name, entry)| static_target(name, entry, &connectors));
    Ok(Config {
        acceptor: acceptor(&section, &written.proxy.ssl, around)?,
        upstreams: upstreams.collect::<Result<_, _>>()?,
        targets: targets.collect::<Result<_, _>>()?,
        default_tls,
        limits: limits(&written.proxy, mode)?,
        stop: times::stop(&written.proxy)?,
        rds: Rds { enabled: written.rds.enabled.unwrap_or(true), regions: written.rds.regions },
        listen: written.proxy.listen_addr.map_or_else(|| default_listen(mode), |address| address.0.0),
        admin: written.proxy.admin_addr.map(|address| address.0.0),
        log_level: written.proxy.log_level.map_or(LevelFilter::INFO, |level| level.0),
        acl: acl(written.proxy.target_acl),
    })
}

fn default_tls(written: &Written, connectors: &Connectors<'_>) -> Result<DefaultTls, Fault> {
    let root = KeyPath::of(&["rds", "root_certificate"]);
    let path = pair::file(&root, written.rds.root_certificate.as_ref(), connectors.around)?;
    let roots = path.map_or(Roots::RdsBundle, Roots::Path);
    Ok(DefaultTls {
        fixed: connectors.with_roots(SslMode::Require, None, &KeyPath::of(&["targets"]))?,
        discovered: connectors.with_roots(SslMode::VerifyFull, Some(roots), &root)?,
    })
}

fn static_target(name: String, written: Target, connectors: &Connectors<'_>) -> Result<StaticTarget, Fault> {
    let section = KeyPath::of(&["targets", &name, "ssl"]);
    let tls = written.ssl.map(|ssl| connectors.of_section(&section, &ssl, SslMode::Require)).transpose()?;
    Ok(StaticTarget {
        name,
        address: written.host.0,
        database: written.database,
        local_port: written.local_port.map(|port| port.0),
        tls,
    })
}

fn acceptor(
    section: &KeyPath,
    ssl: &ProxySsl,
    around: &Surroundings,
) -> Result<Option<ServerIdentity>, Fault> {
    let written = WrittenPair {
        section,
        certificate: ("certificate", ssl.certificate.as_ref()),
        private_key: ("private_key", ssl.private_key.as_ref()),
    };
    let pair = written.files(around)?;
    if !ssl.enabled.unwrap_or(false) {
        return Ok(None);
    }
    let Some(pair) = pair else {
        return Ok(Some(ServerIdentity::SelfSigned { hosts: SELF_SIGNED_HOSTS.map(String::from).into() }));
    };
    // Only to have the error here, where its key is known.
    Acceptor::new(pair.server_identity()).map_err(|error| {
        Fault::of_value(pair.culprit(&error).unwrap_or(section).clone(), error.to_string())
    })?;
    Ok(Some(pair.server_identity()))
}

fn limits(proxy: &Proxy, mode: Mode) -> Result<Limits, Fault> {
    let count = |written: &Option<Parsed<NonZeroUsize>>| written.as_ref().map(|number| number.0.get());
    let default = Limits::default();
    Ok(Limits {
        max_connections: count(&proxy.max_connections).unwrap_or(default.max_connections),
        max_connections_per_peer: count(&proxy.max_connections_per_peer),
        handshake_timeout: times::deadline(
            "handshake_timeout",
            proxy.handshake_timeout.as_ref(),
            default.handshake_timeout,
        )?,
        connect_timeout: times::deadline(
            "connect_timeout",
            proxy.connect_timeout.as_ref(),
            default.connect_timeout,
        )?,
        idle_timeout: times::idle(proxy)?,
        cancel_on_disconnect: proxy.cancel_on_disconnect.unwrap_or(mode == Mode::Server),
    })
}

fn default_listen(mode: Mode) -> Address {
    Address::Tcp(match mode {
        // Whoever reaches the client's port has the developer's access.
        Mode::Client => HostPort::new("127.0.0.1", 8001),
        Mode::Server => HostPort::new("0.0.0.0", 8000),
    })
}

fn acl(written: TargetAcl) -> Acl {
    let tags = |written: Vec<Tag>| {
        written.into_iter().map(|tag| catalog::Tag { name: tag.name, value: tag.value }).collect()
    };
    Acl { allowed: tags(written.allowed_rds_tags), blocked: tags(written.blocked_rds_tags) }
}

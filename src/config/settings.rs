//! What a configuration means: every default filled in, every file loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::catalog::{Acl, DefaultTls, PortForward, StaticTarget};
use crate::net::Address;
use crate::session::Limits;
use crate::tls::{Acceptor, Connector, ServerIdentity};

/// The names in certificates that are made at start.
pub const SELF_SIGNED_HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];

/// Which half of the product runs; it decides some defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On the developer's machine.
    Client,
    /// Beside the databases.
    Server,
}

/// Everything that can be configured. An `Option` that is absent means "off" or "not there", never "the default".
#[derive(Clone)]
pub struct Config {
    /// `proxy.listen_addr`: where applications (client) or clients (server) connect to.
    pub listen: Address,
    /// `proxy.ssl`: TLS towards applications (client) or clients (server); absent where TLS is off.
    pub acceptor: Option<Acceptor>,
    /// `proxy.target_acl`.
    pub acl: Acl,
    /// The numbers and times in `proxy`.
    pub limits: Limits,
    /// How it stops.
    pub stop: Stop,
    /// `proxy.admin_addr`: health and metrics; absent: off.
    pub admin: Option<Address>,
    /// `proxy.log_level`: what is logged where the environment does not say.
    pub log_level: LevelFilter,
    /// `rds`: discovery.
    pub rds: Rds,
    /// `upstream_proxies` by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// `targets`, ordered by name.
    pub targets: Vec<StaticTarget>,
    /// TLS where a target does not name its own.
    pub default_tls: DefaultTls,
}

/// Keys, numbers and times; no text that may have come from outside the file.
impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets: Vec<_> = self.targets.iter().map(|target| &target.name).collect();
        let upstreams: Vec<_> = self.upstreams.keys().collect();
        formatter
            .debug_struct("Config")
            .field("limits", &self.limits)
            .field("stop", &self.stop)
            .field("log_level", &self.log_level)
            .field("upstreams", &upstreams)
            .field("targets", &targets)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// The certificate files in use, each once.
    #[must_use]
    pub fn certificates(&self) -> Vec<PathBuf> {
        let upstreams = self.upstreams.values().map(|upstream| &upstream.tls);
        let targets = self.targets.iter().filter_map(|target| target.tls.as_ref());
        let defaults = [&self.default_tls.fixed, &self.default_tls.discovered];
        let shown = upstreams.chain(targets).chain(defaults).filter_map(|tls| tls.certificate());
        let mut files: Vec<_> = shown.map(Path::to_owned).collect();
        match self.acceptor.as_ref().map(Acceptor::identity) {
            Some(ServerIdentity::Files { certificate, .. }) => files.push(certificate.clone()),
            Some(ServerIdentity::SelfSigned { .. }) | None => {}
        }
        files.sort();
        files.dedup();
        files
    }
}

/// Where a proxy with a configuration can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// `proxy.admin_addr`: health and metrics; absent: off.
    pub admin: Option<Address>,
    /// Where it may listen for connections. The file does not say which mode uses it: if it has upstream proxies and
    /// no `proxy.listen_addr`, this is the default of the server and then that of the client.
    pub listen: Vec<Address>,
}

/// How the proxy stops when it is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// `shutdown_delay`: from the order to stop until no more connections are accepted; readiness fails meanwhile.
    pub delay: Duration,
    /// `drain_timeout`: what running sessions get after that.
    pub drain: Drain,
}

/// How long sessions may go on when the proxy stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// So long.
    After(Duration),
    /// Until they end by themselves.
    Forever,
}

impl fmt::Display for Drain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(time) => write!(formatter, "{}s", time.as_secs_f64()),
            Self::Forever => formatter.write_str("forever"),
        }
    }
}

/// Discovery of databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rds {
    /// Whether AWS is asked at all.
    pub enabled: bool,
    /// The regions to look in; empty: that of the AWS configuration.
    pub regions: Vec<String>,
}

/// A server that a client can go through.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The key in `upstream_proxies`.
    pub name: String,
    /// The way to it.
    pub transport: UpstreamTransport,
    /// TLS towards it.
    pub tls: Arc<Connector>,
    /// `aws_auth_only`: it is handed no password; the client answers the database's request for one itself.
    pub aws_auth_only: bool,
}

/// The way to an upstream proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTransport {
    /// An address that can be dialled.
    Host(Address),
    /// A pod, through the Kubernetes API.
    PortForward(PortForward),
}

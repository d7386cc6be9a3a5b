//! The settings: the configuration with every default, and with every file loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::error::ConfigError;
use super::remark::Remark;
use crate::catalog::{
    Acl, AllowedClients, AuthMethods, AwsAccount, AwsIdentity, DefaultTls, FrontDoor, PortForward,
    StaticTarget,
};
use crate::net::{Address, HostPort, Networks};
use crate::session::Limits;
use crate::tls::{Acceptor, ClientIdentity, Connector, SslMode};

/// The names in certificates that are generated at start.
pub const SELF_SIGNED_HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];

/// All settings. An absent `Option` means "off" or "not set", never "the default".
#[derive(Clone)]
pub struct Config {
    /// `proxy.listen_addr`: the address that applications (client) or clients (server) connect to.
    pub listen: Address,
    /// Why a client may not listen there, see [`Config::check_listen`].
    pub(super) listen_refused: Option<Arc<ConfigError>>,
    /// Whether a client may accept connections from other machines, see [`Config::check_bound`].
    pub allow_remote: bool,
    /// Whether a client serves all users of this machine.
    pub allow_other_users: bool,
    /// `proxy.ssl`: TLS towards applications (client) or clients (server); absent where TLS is off.
    pub acceptor: Option<Acceptor>,
    /// `proxy.target_acl`.
    pub acl: Acl,
    /// The limits and timeouts in `proxy`.
    pub limits: Limits,
    /// How the proxy stops.
    pub stop: Stop,
    /// `proxy.admin_addr`: health and metrics; absent: off.
    pub admin: Option<Address>,
    /// `proxy.admin_hosts`: names that the admin listener answers to, beside loopback names and IP addresses.
    pub admin_hosts: Vec<String>,
    /// `proxy.admin_socket`: the Unix socket that lists the sessions; absent: off.
    pub admin_socket: Option<PathBuf>,
    /// `proxy.log_level`: the log level if the environment sets none.
    pub log_level: LevelFilter,
    /// `aws`: the AWS identity of the process.
    pub aws: AwsIdentity,
    /// `aws.sso_login`: whether a client on a terminal runs the login command for a session that has expired.
    pub sso_login: bool,
    /// `accounts`: the accounts to list, by name; empty: only that of the process's own identity, without a prefix.
    pub accounts: Vec<AwsAccount>,
    /// `audit.on_full`.
    pub audit_on_full: OnFull,
    /// `rds`: discovery.
    pub rds: Rds,
    /// `upstream_proxies` by name; empty where the mode uses none.
    pub upstreams: BTreeMap<String, Upstream>,
    /// `targets`, ordered by name.
    pub targets: Vec<StaticTarget>,
    /// The entries of `targets` without a host, by name.
    pub named: BTreeMap<String, Named>,
    /// `proxy.proxy_protocol.from`: the load balancers that send a header of the PROXY protocol; empty in a client.
    pub load_balancers: Networks,
    /// The targets of connections that name none.
    pub front_door: Arc<FrontDoor>,
    /// TLS for targets without TLS settings.
    pub default_tls: DefaultTls,
    /// What the file should have differently.
    pub remarks: Vec<Remark>,
}

/// Keys, numbers and durations; no text that may come from outside the file.
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
        let upstreams = self.upstreams.values().filter_map(|upstream| upstream.connector().ok());
        let upstreams = upstreams.filter_map(|connector| connector.certificate());
        let targets = self.targets.iter().filter_map(|target| target.tls.identity.as_ref());
        let identities = targets.chain([&self.default_tls.fixed.identity]);
        let client_certificates = upstreams.chain(identities.filter_map(ClientIdentity::certificate));
        let mut files: Vec<_> = client_certificates.map(Path::to_owned).collect();
        files.extend(self.acceptor.iter().flat_map(|acceptor| acceptor.settings().certificates()));
        files.sort();
        files.dedup();
        files
    }
}

/// The addresses of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// `proxy.admin_addr`: health and metrics; absent: off.
    pub admin: Option<Address>,
    /// `proxy.admin_socket`: the list of sessions; absent: off.
    pub admin_socket: Option<PathBuf>,
    /// The addresses where it may listen for connections. The file does not name the mode: if it has upstream proxies and
    /// no `proxy.listen_addr`, these are the defaults of the server and of the client.
    pub listen: Vec<Address>,
}

/// How the proxy stops after a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// `shutdown_delay`: the time from the signal until the proxy stops accepting connections; readiness fails meanwhile.
    pub delay: Duration,
    /// `drain_timeout`: the time that running sessions have after that.
    pub drain: Drain,
}

/// What happens to new sessions while the queue of audit lines is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// They begin, and their lines may be lost.
    #[default]
    Drop,
    /// They are refused.
    Refuse,
}

/// How long sessions may continue when the proxy stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// For this time.
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

/// What `targets` sets for a database that RDS lists under the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The database to suggest.
    pub database: Option<String>,
    /// The port the client listens on for it.
    pub local_port: Option<u16>,
    /// The client certificates that may reach it; absent: all connections may.
    pub allowed_clients: Option<Arc<AllowedClients>>,
}

/// Discovery of databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rds {
    /// Whether the proxy queries AWS.
    pub enabled: bool,
    /// The regions to list; empty: the region of the AWS configuration.
    pub regions: Vec<String>,
    /// Whether targets with IAM authentication accept IAM tokens only.
    pub require_iam: bool,
    /// The greatest age of a list that is used; absent: any.
    pub max_age: Option<Duration>,
}

/// A server that a client can connect through.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The key in `upstream_proxies`.
    pub name: String,
    /// How the client reaches it.
    pub transport: UpstreamTransport,
    /// TLS towards it, or why one of its files cannot be used: that counts only if this upstream proxy is chosen.
    pub(super) tls: Result<Arc<Connector>, Arc<ConfigError>>,
    /// `aws_auth_only`: the client sends it no password, and answers the database's password request itself.
    pub aws_auth_only: bool,
    /// The login methods that it may use; absent: the default for its TLS.
    pub require_auth: Option<AuthMethods>,
}

impl Upstream {
    /// TLS towards it. Fails if a file of its section cannot be used.
    pub fn connector(&self) -> Result<&Arc<Connector>, &ConfigError> {
        self.tls.as_ref().map_err(AsRef::as_ref)
    }

    /// The weakness of its TLS, for a warning at the start; absent where the certificate is verified. Without a mode that
    /// encrypts in any case, a tunnel or this machine itself protects the connection.
    #[must_use]
    pub fn tls_warning(&self) -> Option<&'static str> {
        let tls = self.connector().ok().filter(|tls| !tls.verifies())?;
        let protected = match &self.transport {
            UpstreamTransport::Host(address) => is_local(address),
            UpstreamTransport::PortForward(_) => true,
        };
        match tls.mode() {
            SslMode::Disable | SslMode::Prefer if protected => None,
            SslMode::Disable => Some(
                "the network can read tokens and data on the way to this upstream proxy; set ssl.mode to verify-full",
            ),
            SslMode::Prefer => Some(
                "TLS to this upstream proxy is optional and does not verify the server; set ssl.mode to verify-full",
            ),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Some(
                "TLS to this upstream proxy encrypts but does not verify the server; set ssl.mode to verify-full",
            ),
        }
    }
}

/// Whether connections to the address stay on this machine.
fn is_local(address: &Address) -> bool {
    match address {
        Address::Unix(_) => true,
        Address::Tcp(HostPort { host, .. }) => {
            let ip = host.parse().map(|ip: IpAddr| ip.to_canonical());
            host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
        }
    }
}

/// How a client reaches an upstream proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTransport {
    /// By its address.
    Host(Address),
    /// By a tunnel to a pod, through the Kubernetes API.
    PortForward(PortForward),
}

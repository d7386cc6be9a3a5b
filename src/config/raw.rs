//! The configuration as typed: one field per key, without defaults. Private to `config`. The types have no Debug, because
//! they hold values from outside the file.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tracing::level_filters::LevelFilter;

use super::aws_scalars::{ExternalId, ProfileName, RegionName, RoleArn, SessionName, SsoLogin};
use super::one_or_many::OneOrMany;
use super::scalars::{HostName, ListenAddress, MaxAge, Parsed, PathText};
use super::settings::{Drain, OnFull};
use super::tls_scalars::{ClientAuthMode, ClientName, ServerName};
use crate::catalog::AuthMethods;
use crate::net::{Address, HostPort};
use crate::tls::{MinVersion, Negotiation, SslMode};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) proxy: Proxy,
    pub(super) rds: Rds,
    pub(super) upstream_proxies: BTreeMap<String, Upstream>,
    pub(super) targets: BTreeMap<String, Target>,
    pub(super) audit: Audit,
    pub(super) aws: Aws,
    pub(super) accounts: BTreeMap<String, Account>,
    /// `credentials::load_section` reads it.
    pub(super) credentials: IgnoredAny,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Account {
    pub(super) profile: Option<Parsed<ProfileName>>,
    pub(super) assume_role: Option<OneOrMany<AssumeRole>>,
    pub(super) regions: Vec<Parsed<RegionName>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Aws {
    pub(super) profile: Option<Parsed<ProfileName>>,
    pub(super) assume_role: Option<OneOrMany<AssumeRole>>,
    pub(super) sso_login: Option<Parsed<SsoLogin>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AssumeRole {
    pub(super) role_arn: Parsed<RoleArn>,
    pub(super) session_name: Option<Parsed<SessionName>>,
    pub(super) external_id: Option<Parsed<ExternalId>>,
    pub(super) duration: Option<Parsed<Duration>>,
    pub(super) region: Option<Parsed<RegionName>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Audit {
    pub(super) on_full: Option<Parsed<OnFull>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Proxy {
    pub(super) listen_addr: Option<Parsed<ListenAddress>>,
    pub(super) ssl: ProxySsl,
    pub(super) target_acl: TargetAcl,
    pub(super) allow_remote: Option<bool>,
    pub(super) allow_other_users: Option<bool>,
    pub(super) default_target: Option<String>,
    pub(super) accept_host_parameter: Option<bool>,
    #[serde(rename = "proxy_protocol")]
    pub(super) load_balancers: Option<ProxyProtocol>,
    pub(super) admin_addr: Option<Parsed<ListenAddress>>,
    pub(super) admin_hosts: Vec<Parsed<HostName>>,
    pub(super) admin_socket: Option<Parsed<PathText>>,
    pub(super) log_level: Option<Parsed<LevelFilter>>,
    pub(super) max_connections: Option<Parsed<NonZeroUsize>>,
    pub(super) max_connections_per_peer: Option<Parsed<NonZeroUsize>>,
    pub(super) max_logins_per_target: Option<Parsed<NonZeroUsize>>,
    pub(super) max_logins_per_peer: Option<Parsed<NonZeroUsize>>,
    pub(super) handshake_timeout: Option<Parsed<Duration>>,
    pub(super) connect_timeout: Option<Parsed<Duration>>,
    pub(super) idle_timeout: Option<Parsed<Duration>>,
    pub(super) drain_timeout: Option<Parsed<Drain>>,
    pub(super) shutdown_delay: Option<Parsed<Duration>>,
    pub(super) cancel_on_disconnect: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProxyProtocol {
    pub(super) from: Vec<Parsed<IpNet>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProxySsl {
    pub(super) enabled: Option<bool>,
    pub(super) required: Option<bool>,
    pub(super) certificate: Option<Parsed<PathText>>,
    pub(super) private_key: Option<Parsed<PathText>>,
    pub(super) certificates: Vec<NamedCertificate>,
    pub(super) min_version: Option<Parsed<MinVersion>>,
    pub(super) client_ca: Option<Parsed<PathText>>,
    pub(super) client_crl: Option<Parsed<PathText>>,
    pub(super) client_auth: Option<Parsed<ClientAuthMode>>,
    pub(super) client_certificate: Option<Parsed<PathText>>,
    pub(super) client_private_key: Option<Parsed<PathText>>,
}

/// A certificate for the server names in it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NamedCertificate {
    pub(super) certificate: Option<Parsed<PathText>>,
    pub(super) private_key: Option<Parsed<PathText>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TargetAcl {
    pub(super) allowed_rds_tags: Vec<Tag>,
    pub(super) blocked_rds_tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rds {
    pub(super) enabled: Option<bool>,
    pub(super) regions: Vec<String>,
    pub(super) root_certificate: Option<Parsed<PathText>>,
    pub(super) require_iam: Option<bool>,
    pub(super) max_age: Option<Parsed<MaxAge>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Upstream {
    pub(super) host: Option<Parsed<Address>>,
    pub(super) port_forward: Option<PortForward>,
    pub(super) ssl: Ssl,
    pub(super) aws_auth_only: Option<bool>,
    pub(super) require_auth: Option<Parsed<AuthMethods>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PortForward {
    pub(super) kube_config: Option<Parsed<PathText>>,
    pub(super) context: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) deployment: Option<String>,
    pub(super) selector: Option<String>,
    pub(super) service: Option<String>,
    pub(super) local_port: Option<Parsed<u16>>,
    pub(super) remote_port: Option<Parsed<u16>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ssl {
    pub(super) mode: Option<Parsed<SslMode>>,
    pub(super) root_certificate: Option<Parsed<PathText>>,
    pub(super) client_certificate: Option<Parsed<PathText>>,
    /// The name in the Go program.
    pub(super) client_cert: Option<Parsed<PathText>>,
    pub(super) client_private_key: Option<Parsed<PathText>>,
    pub(super) server_name: Option<Parsed<HostName>>,
    pub(super) negotiation: Option<Parsed<Negotiation>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Target {
    pub(super) host: Option<Parsed<HostPort>>,
    pub(super) rds: Option<String>,
    pub(super) server_names: Vec<Parsed<ServerName>>,
    pub(super) allowed_client_names: Option<Vec<Parsed<ClientName>>>,
    pub(super) database: Option<String>,
    pub(super) local_port: Option<Parsed<u16>>,
    pub(super) ssl: Option<Ssl>,
    pub(super) require_auth: Option<Parsed<AuthMethods>>,
}

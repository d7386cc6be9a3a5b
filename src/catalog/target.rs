//! The targets of configuration and discovery.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Acl, AllowedClients, AuthMethods, FrontDoor, GuardRails, ListedAt, Related, Resource, Tag};
use crate::net::HostPort;
use crate::tls::{Connector, Overrides, Roots, Settings, SslMode};

/// A Postgres database that a session can go to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name: the key in `targets`, or the name in RDS.
    pub name: String,
    /// Its identifier in AWS, under which it is found too; absent where that is the name.
    pub identifier: Option<String>,
    /// Its address, as RDS or the configuration has it. Tokens and certificates are for this host.
    pub address: HostPort,
    /// Another address of the same database, which is dialled in place of `address`.
    pub dial: Option<HostPort>,
    /// The database to suggest.
    pub database: Option<String>,
    /// The port that the client listens on for it, instead of that of `listen_addr`.
    pub local_port: Option<u16>,
    /// What a client sets for its sessions.
    pub guard_rails: GuardRails,
    /// TLS towards it.
    pub tls: Arc<Connector>,
    /// Whether discovery may still decide how TLS verifies: RDS has not listed the host, and the configuration leaves it open.
    pub tls_open: bool,
    /// Where IAM tokens for it are valid; absent where it has no IAM authentication.
    pub iam: Option<Iam>,
    /// The login methods that it may use; absent: all, or where its certificate is not verified, those that give nothing away.
    pub require_auth: Option<AuthMethods>,
    /// The client certificates that may reach it; absent: all connections may.
    pub allowed_clients: Option<Arc<AllowedClients>>,
    /// When RDS listed it; absent for a target of the configuration.
    pub listed_at: Option<ListedAt>,
}

impl Target {
    /// The address to connect to.
    #[must_use]
    pub fn dialled(&self) -> &HostPort {
        self.dial.as_ref().unwrap_or(&self.address)
    }

    /// The TLS mode of a target at a discovered host, if its `ssl` section makes it weaker than the default `verify-full`.
    #[must_use]
    pub fn weaker_mode(&self) -> Option<SslMode> {
        let mode = self.tls.mode();
        (self.iam.is_some() && mode != SslMode::VerifyFull).then_some(mode)
    }
}

/// What a login with an IAM token needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iam {
    /// The AWS region that the token is signed for, such as `us-east-1`.
    pub region: String,
    /// The service that the token is signed for.
    pub service: IamService,
    /// The account of the configuration whose identity signs it; absent where the configuration names none.
    pub account: Option<Arc<str>>,
}

/// The AWS service that verifies the IAM tokens of a database, and so decides about their form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IamService {
    /// RDS and Aurora, RDS Proxy included: a token is for a database user.
    Rds,
    /// Aurora DSQL: a token is for an action, see [`dsql_action`](super::dsql_action).
    Dsql,
}

impl fmt::Display for IamService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rds => "RDS",
            Self::Dsql => "Aurora DSQL",
        })
    }
}

/// A target of the configuration. What is absent comes from discovery where RDS lists the same host, else it is the default
/// for static targets.
#[derive(Clone, Debug)]
pub struct StaticTarget {
    /// The key in `targets`.
    pub name: String,
    /// Where it is.
    pub location: Location,
    /// The database to suggest.
    pub database: Option<String>,
    /// The port the client listens on for it.
    pub local_port: Option<u16>,
    /// What its `ssl` section sets. Every other setting is the default of the place where the host was found.
    pub tls: Overrides,
    /// The login methods that it may use, where the configuration has them.
    pub require_auth: Option<AuthMethods>,
    /// The client certificates that may reach it, where the configuration names them.
    pub allowed_clients: Option<Arc<AllowedClients>>,
}

/// Where a target of the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// At this address (`host`).
    Host(HostPort),
    /// At the endpoint of a database that RDS lists (`rds`).
    Rds {
        /// Its name in RDS, in any case.
        name: String,
        /// Another address of it, such as a CNAME, which is dialled in place of the endpoint (`host`).
        dial: Option<HostPort>,
    },
}

/// A database that RDS lists, before the access list is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The DB instance identifier, or the name of an endpoint of a cluster or an RDS Proxy, or of a cluster of Aurora DSQL.
    pub name: String,
    /// Its identifier, under which it is found too; absent where that is the name.
    pub identifier: Option<String>,
    /// The endpoint.
    pub address: HostPort,
    /// The account of the configuration that has it, with whose name its own begins; absent where the configuration names none.
    pub account: Option<Arc<str>>,
    /// Its AWS region, from its ARN.
    pub region: String,
    /// Its properties in RDS: people choose by them.
    pub resource: Resource,
    /// The service that verifies its IAM tokens.
    pub service: IamService,
    /// The roots that sign its certificate.
    pub roots: Roots,
    /// The tag `rds-auth-proxy:db-name`, else the database it was created with.
    pub database: Option<String>,
    /// The tag `rds-auth-proxy:local-port`.
    pub local_port: Option<u16>,
    /// The tags that set something for its sessions.
    pub guard_rails: GuardRails,
    /// Its tags, for the access list.
    pub tags: Vec<Tag>,
    /// Other resources whose blocked tags apply to it.
    pub related: Vec<Arc<Related>>,
    /// When RDS listed it.
    pub listed_at: ListedAt,
}

/// The configuration of targets.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The targets of the configuration.
    pub fixed: Vec<StaticTarget>,
    /// The client certificates that may reach a discovered database, by its name in `targets`.
    pub allowed_clients: BTreeMap<String, Arc<AllowedClients>>,
    /// Which of the targets connections get that name none.
    pub front_door: Arc<FrontDoor>,
    /// Which discovered databases may be used.
    pub acl: Acl,
    /// TLS for targets that do not configure it.
    pub tls: DefaultTls,
    /// The greatest age of a list of RDS databases that is used; absent: any.
    pub max_age: Option<Duration>,
}

/// TLS for targets that do not configure it.
#[derive(Clone, Debug)]
pub struct DefaultTls {
    /// For targets of the configuration. Discovered databases get the client certificate of these settings.
    pub fixed: Settings,
    /// `rds.root_certificate`: the roots for discovered databases in all regions, in place of the embedded ones.
    pub rds_roots: Option<Roots>,
}

impl Discovered {
    /// Where IAM tokens for it are valid.
    #[must_use]
    pub fn iam(&self) -> Iam {
        Iam { region: self.region.clone(), service: self.service, account: self.account.clone() }
    }
}

impl DefaultTls {
    /// For discovered databases whose certificates these roots sign: verified in full, against the configured roots, else these.
    #[must_use]
    pub fn discovered(&self, roots: &Roots) -> Settings {
        let roots = self.rds_roots.as_ref().unwrap_or(roots).clone();
        Settings { roots: Some(roots), ..Settings::new(SslMode::VerifyFull, self.fixed.identity.clone()) }
    }
}

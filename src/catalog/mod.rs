//! The targets: their tags and access list, the directory that finds them, and the ports to the outside.

mod acl;
mod directory;
mod listing;
mod merge;
mod metrics;
mod port_forward;
mod ports;

use std::sync::Arc;

use crate::net::HostPort;
use crate::tls::Connector;

pub use acl::{Acl, Refusal, Tag};
pub use directory::{Directory, LookupError};
pub use listing::Policy;
pub use merge::DefaultTls;
pub use metrics::describe;
pub use port_forward::{Pods, PortForward};
pub use ports::{Boxed, Dial, Discover, DiscoverError, Inventory, LateRefusal, Mint, MintError, Minted};

/// A Postgres database that a session can go to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name: the key in `targets`, or the identifier in RDS.
    pub name: String,
    /// Its address, as RDS or the configuration has it.
    pub address: HostPort,
    /// The database to suggest.
    pub database: Option<String>,
    /// The port that the client listens on for it, instead of that of `listen_addr`.
    pub local_port: Option<u16>,
    /// TLS towards it.
    pub tls: Arc<Connector>,
    /// Where IAM tokens for it are valid; absent where it has no IAM authentication.
    pub iam: Option<Iam>,
}

/// What a login with an IAM token needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iam {
    /// The AWS region that the token is signed for, such as `us-east-1`.
    pub region: String,
}

/// A target of the configuration. What is absent comes from discovery where RDS lists the same host, else it is the default
/// for static targets.
#[derive(Clone, Debug)]
pub struct StaticTarget {
    /// The key in `targets`.
    pub name: String,
    /// Its address.
    pub address: HostPort,
    /// The database to suggest.
    pub database: Option<String>,
    /// The port the client listens on for it.
    pub local_port: Option<u16>,
    /// TLS towards it, where the configuration has it.
    pub tls: Option<Arc<Connector>>,
}

/// A database that RDS lists, before the access list is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The DB instance identifier, or the name of an Aurora endpoint.
    pub name: String,
    /// The endpoint.
    pub address: HostPort,
    /// Its AWS region, from its ARN.
    pub region: String,
    /// The tag `rds-auth-proxy:db-name`, else the database it was created with.
    pub database: Option<String>,
    /// The tag `rds-auth-proxy:local-port`.
    pub local_port: Option<u16>,
    /// Its tags, for the access list.
    pub tags: Vec<Tag>,
}

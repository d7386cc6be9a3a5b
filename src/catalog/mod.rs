//! What can be connected to and who may: targets, their tags and access list, the directory that finds them, and
//! the ports through which the outside world is reached.

mod acl;
mod directory;
mod listing;
mod merge;
mod meter;
mod port_forward;
mod ports;

use std::sync::Arc;

use crate::net::HostPort;
use crate::tls::Connector;

pub use acl::{Acl, Refusal, Tag};
pub use directory::{Directory, LookupError};
pub use listing::Policy;
pub use merge::DefaultTls;
pub use meter::describe;
pub use port_forward::{Pods, PortForward};
pub use ports::{Boxed, Dial, Discover, DiscoverError, Inventory, Mint, MintError, Minted};

/// A Postgres database that a session can go to.
#[derive(Clone, Debug)]
pub struct Target {
    /// How people call it: the key in `targets`, or the identifier in RDS.
    pub name: String,
    /// Where it listens, as RDS or the configuration names it.
    pub address: HostPort,
    /// The database to suggest when none is named.
    pub database: Option<String>,
    /// The port the client listens on for it, instead of that of `listen_addr`.
    pub local_port: Option<u16>,
    /// How TLS towards it is made.
    pub tls: Arc<Connector>,
    /// Where IAM tokens for it are valid; absent where it has no IAM authentication.
    pub iam: Option<Iam>,
}

/// What has to be known to log in with an IAM token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iam {
    /// The AWS region that the token is signed for, such as `us-east-1`.
    pub region: String,
}

/// A target as the configuration has it. What is absent comes from discovery where RDS knows the same host, else it
/// is the default for static targets.
#[derive(Clone, Debug)]
pub struct StaticTarget {
    /// The key in `targets`.
    pub name: String,
    /// Where it listens.
    pub address: HostPort,
    /// The database to suggest when none is named.
    pub database: Option<String>,
    /// The port the client listens on for it.
    pub local_port: Option<u16>,
    /// How TLS towards it is made, where the configuration says so.
    pub tls: Option<Arc<Connector>>,
}

/// A database as RDS describes it, before the access list is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The DB instance identifier, or the name of an Aurora endpoint.
    pub name: String,
    /// The endpoint.
    pub address: HostPort,
    /// The AWS region it lives in, from its ARN.
    pub region: String,
    /// The tag `rds-auth-proxy:db-name`, else the database it was created with.
    pub database: Option<String>,
    /// The tag `rds-auth-proxy:local-port`.
    pub local_port: Option<u16>,
    /// All its tags, for the access list.
    pub tags: Vec<Tag>,
}

//! Kind, engine, version and account of a database in RDS: people choose by them.

use std::fmt;

/// The kind of an endpoint in RDS or Aurora DSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointKind {
    /// A DB instance.
    #[default]
    Instance,
    /// The writer endpoint of a cluster.
    Writer,
    /// The reader endpoint of a cluster.
    Reader,
    /// A custom endpoint of a cluster.
    Custom,
    /// An endpoint of an RDS Proxy.
    Proxy,
    /// A cluster of Aurora DSQL.
    Dsql,
}

/// The properties of a database in RDS, beside its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Its kind.
    pub kind: EndpointKind,
    /// Its engine, such as `aurora-postgresql`; that of an RDS Proxy is its engine family, such as `postgresql`.
    pub engine: Option<String>,
    /// The version of the engine; absent for an RDS Proxy.
    pub version: Option<String>,
    /// The AWS account, from its ARN.
    pub account: Option<String>,
    /// The ARN that IAM policies name for logins at it, of RDS without the database user; absent where it is not known.
    pub login_arn: Option<String>,
}

impl fmt::Display for EndpointKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Instance => "instance",
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Custom => "custom",
            Self::Proxy => "proxy",
            Self::Dsql => "dsql",
        })
    }
}

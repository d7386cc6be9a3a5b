//! Databases that are no targets.

use super::Resource;
use crate::net::HostPort;

/// A database that is no target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The name that it would have.
    pub name: String,
    /// Its endpoint, where it has a usable one.
    pub address: Option<HostPort>,
    /// Its region; absent for a target of the configuration.
    pub region: Option<String>,
    /// The database to suggest.
    pub database: Option<String>,
    /// Its properties in RDS; absent for a target of the configuration.
    pub resource: Option<Resource>,
    /// Why it cannot be used, and what to do.
    pub reason: String,
}

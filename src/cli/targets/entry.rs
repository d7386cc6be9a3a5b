//! One line of the list.

use serde::Serialize;

use crate::app::{Reachable, fits};
use crate::catalog::{NamePattern, Resource, Skipped};

/// A target, or a database that is none, as `docs/schemas/targets.json` describes it. Properties that are not known are absent.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct Entry {
    /// The name for `--target`.
    pub(super) name: String,
    /// That of [`Resource`] in RDS; `static` in the configuration.
    pub(super) kind: String,
    pub(super) engine: Option<String>,
    pub(super) version: Option<String>,
    /// `HOST:PORT` of the database.
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    pub(super) account: Option<String>,
    /// The database to suggest.
    pub(super) database: Option<String>,
    /// The port of a client for it on this machine.
    pub(super) local_port: Option<u16>,
    /// Why it cannot be used; absent for a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

impl Entry {
    /// Whether the pattern fits its name, or is its endpoint.
    pub(super) fn is_chosen_by(&self, pattern: &NamePattern) -> bool {
        let endpoint = self.endpoint.as_deref().and_then(|endpoint| endpoint.parse().ok());
        fits(pattern, &self.name, endpoint.as_ref())
    }
}

impl From<Reachable> for Entry {
    fn from(Reachable { target, resource, local_port }: Reachable) -> Self {
        let is_static = target.listed_at.is_none();
        let (kind, engine, version, account) = facts(resource);
        Self {
            name: target.name,
            kind: kind.filter(|_| !is_static).unwrap_or_else(|| "static".into()),
            engine,
            version,
            endpoint: Some(target.address.to_string()),
            region: target.iam.map(|iam| iam.region),
            account,
            database: target.database,
            local_port,
            reason: None,
        }
    }
}

impl From<Skipped> for Entry {
    fn from(skipped: Skipped) -> Self {
        let (kind, engine, version, account) = facts(skipped.resource);
        Self {
            name: skipped.name,
            // Only one of RDS has a region.
            kind: kind.unwrap_or_else(|| if skipped.region.is_some() { "instance" } else { "static" }.into()),
            engine,
            version,
            endpoint: skipped.address.map(|address| address.to_string()),
            region: skipped.region,
            account,
            database: skipped.database,
            local_port: None,
            reason: Some(skipped.reason),
        }
    }
}

type Facts = (Option<String>, Option<String>, Option<String>, Option<String>);

fn facts(resource: Option<Resource>) -> Facts {
    match resource {
        Some(Resource { kind, engine, version, account, .. }) => {
            (Some(kind.to_string()), engine, version, account)
        }
        None => (None, None, None, None),
    }
}

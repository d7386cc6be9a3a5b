//! A cluster of Aurora DSQL, as the API describes it.

use std::collections::BTreeMap;

use super::super::endpoint::{address, region_of};
use super::super::resource;
use super::super::skipped::Remark;
use super::super::tags::{database, guard_rails, local_port, value};
use crate::catalog::{Discovered, IamService, ListedAt, Tag};
use crate::net::HostPort;
use crate::tls::Roots;

/// The port of every cluster (Amazon Aurora DSQL User Guide, "Accessing Aurora DSQL with PostgreSQL-compatible clients").
const PORT: i32 = 5432;

/// The only database of every cluster (the same page).
const DATABASE: &str = "postgres";

/// The tag that the AWS console shows as the name.
const NAME: &str = "Name";

/// The states in which a cluster accepts no connections. In the others it does: the first connection wakes an idle or inactive
/// one (Amazon Aurora DSQL User Guide, "Aurora DSQL cluster lifecycle").
const UNUSABLE: [&str; 6] = ["CREATING", "DELETING", "DELETED", "FAILED", "PENDING_SETUP", "PENDING_DELETE"];

/// The answer to `GetCluster`.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) identifier: String,
    pub(super) arn: String,
    /// In capitals.
    pub(super) status: String,
    pub(super) endpoint: Option<String>,
    pub(super) tags: Vec<Tag>,
    pub(super) listed_at: ListedAt,
}

impl Cluster {
    /// The cluster as a database; absent, with a remark, if it cannot be used.
    pub(super) fn describe(
        &self,
        region: &str,
        remarks: &mut BTreeMap<String, Remark>,
    ) -> Option<Discovered> {
        let name = self.name().unwrap_or(&self.identifier).to_owned();
        match self.address(region) {
            Ok(address) => Some(Discovered {
                identifier: Some(self.identifier.clone()).filter(|identifier| *identifier != name),
                address,
                region: region.to_owned(),
                service: IamService::Dsql,
                account: None,
                resource: resource::of_dsql(&self.arn),
                roots: Roots::Amazon,
                database: database(&self.tags, Some(DATABASE)),
                local_port: local_port(&name, &self.tags, remarks),
                guard_rails: guard_rails(&name, &self.tags, remarks),
                tags: self.tags.clone(),
                related: Vec::new(),
                listed_at: self.listed_at,
                name,
            }),
            Err(remark) => {
                remarks.insert(name, remark);
                None
            }
        }
    }

    fn address(&self, region: &str) -> Result<HostPort, Remark> {
        if self.identifier.is_empty() {
            return Err(Remark::Incomplete("identifier"));
        }
        region_of(Some(&self.arn), region)?;
        if UNUSABLE.contains(&self.status.as_str()) {
            return Err(Remark::Status(self.status.clone()));
        }
        // An optional part of the answer. "Understanding connections in Aurora DSQL" in the user guide has its form.
        let by_rule = || format!("{}.dsql.{region}.on.aws", self.identifier);
        let host = self.endpoint.clone().filter(|host| !host.is_empty()).unwrap_or_else(by_rule);
        address(Some(&host), Some(PORT))
    }

    /// The tag `Name`. One that is blank, has blanks at its ends or could be an address is no name for a target.
    fn name(&self) -> Option<&str> {
        let usable =
            |name: &&str| !name.is_empty() && name.trim() == *name && name.parse::<HostPort>().is_err();
        value(&self.tags, NAME).filter(usable)
    }
}

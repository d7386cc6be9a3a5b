//! The databases that discovery skips, and why.

use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;
use tracing::{debug, info, warn};

/// A reason why a database is skipped, or why a tag of it is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    /// Skipped: RDS is still creating it.
    NoEndpoint,
    /// Skipped: no IAM token can log in.
    IamOff,
    /// Skipped: the authentication settings of the RDS Proxy accept no IAM token.
    ProxyIamOff,
    /// Skipped: a cluster of Aurora DSQL accepts no connections in this state.
    Status(String),
    /// Skipped: RDS described it without this property, which every database has.
    Incomplete(&'static str),
    /// Skipped: its ARN names this region, which is not the queried one.
    OtherRegion(String),
    /// Skipped: it has another engine. Discovery does not list these.
    Engine(String),
    /// Listed, and some of its tags are ignored. Each text names a tag, its value and the error in it.
    Tags(Vec<String>),
}

/// The remarks of the last discovery. Each is logged once, and not every minute.
#[derive(Default)]
pub(super) struct ReportedRemarks(Mutex<BTreeMap<String, Remark>>);

impl ReportedRemarks {
    /// Logs new remarks, and at debug level those that were logged before.
    pub(super) fn report(&self, account: Option<&str>, remarks: BTreeMap<String, Remark>) {
        let mut reported = self.0.lock();
        for (name, remark) in &remarks {
            if reported.get(name) == Some(remark) {
                debug!(account, %name, %remark, "remark unchanged");
                continue;
            }
            if remark.skips() {
                info!(account, %name, %remark, "skipped an RDS database");
            } else {
                warn!(account, %name, %remark, "a tag of an RDS database is ignored");
            }
        }
        *reported = remarks;
    }

    #[cfg(test)]
    pub(super) fn remarks(&self) -> BTreeMap<String, Remark> {
        self.0.lock().clone()
    }
}

impl Remark {
    /// Whether the database is no target.
    pub(super) fn skips(&self) -> bool {
        match self {
            Self::NoEndpoint
            | Self::IamOff
            | Self::ProxyIamOff
            | Self::Status(_)
            | Self::Incomplete(_)
            | Self::OtherRegion(_)
            | Self::Engine(_) => true,
            Self::Tags(_) => false,
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEndpoint => formatter.write_str("it has no endpoint yet"),
            Self::IamOff => formatter.write_str(
                "IAM database authentication is off; modify the instance or its cluster to turn it on",
            ),
            Self::ProxyIamOff => formatter.write_str(
                "IAM authentication is off in the settings of the RDS Proxy; modify it to require IAM",
            ),
            Self::Status(status) => {
                write!(formatter, "its status is {status}, in which it accepts no connections")
            }
            Self::Engine(engine) => write!(formatter, "its engine is {engine}, not PostgreSQL"),
            Self::Incomplete(property) => write!(formatter, "RDS described it without a usable {property}"),
            Self::OtherRegion(region) => write!(
                formatter,
                "its ARN names the region {region:?}, which is not the queried one; check for an HTTP proxy that \
                 answers in place of AWS"
            ),
            Self::Tags(problems) => formatter.write_str(&problems.join("; ")),
        }
    }
}

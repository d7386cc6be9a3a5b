//! What discovery leaves out, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use tracing::{debug, info, warn};

/// Something about a database that its owner wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    /// Left out: it is still being created.
    NoEndpoint,
    /// Left out: no IAM token can log in.
    IamOff,
    /// Left out: RDS described it without something that every database has.
    Incomplete(&'static str),
    /// Left out: by its ARN it is in this region, which was not asked.
    OtherRegion(String),
    /// Listed, without the port that its tag asks for.
    LocalPort(String),
}

/// The remarks of the last discovery, so that each is told once and not every minute.
#[derive(Default)]
pub(super) struct Told(Mutex<BTreeMap<String, Remark>>);

impl Told {
    /// Logs what is new as information, what was told before for debugging.
    pub(super) fn tell(&self, remarks: BTreeMap<String, Remark>) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, remark) in &remarks {
            match remark {
                _ if told.get(name) == Some(remark) => debug!(%name, %remark, "still so"),
                Remark::LocalPort(_) => warn!(%name, %remark, "a tag of an RDS database is ignored"),
                _ => info!(%name, %remark, "skipped an RDS database"),
            }
        }
        *told = remarks;
    }

    #[cfg(test)]
    pub(super) fn remarks(&self) -> BTreeMap<String, Remark> {
        self.0.lock().unwrap().clone()
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEndpoint => formatter.write_str("it has no endpoint yet"),
            Self::IamOff => formatter.write_str(
                "IAM database authentication is off; modify the instance or its cluster to turn it on",
            ),
            Self::Incomplete(what) => write!(formatter, "RDS described it without a usable {what}"),
            Self::OtherRegion(region) => write!(
                formatter,
                "its ARN names the region {region:?}, which is not the one that was asked; check for an HTTP proxy \
                 that answers in place of AWS"
            ),
            Self::LocalPort(written) => {
                write!(
                    formatter,
                    "rds-auth-proxy:local-port is {written:?}, which is no port between 1 and 65535"
                )
            }
        }
    }
}

//! The ports to the outside. AWS and Kubernetes implement them; roles and the directory use them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::net::{HostPort, Socket};
use crate::secret::Secret;
use crate::single_flight::FlightError;

use super::names::is_same;
use super::{Discovered, Iam, ListedAt, PersonLogin, Signer, Skipped};

/// A future that a port returns.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Lists databases.
pub trait Discover: Send + Sync {
    /// The databases with IAM authentication in every configured region, tags included. A region fails as a whole, since a
    /// partial list must never replace a complete one. The call fails if all regions do.
    fn discover(&self) -> Boxed<'_, Result<Inventory, DiscoverError>>;

    /// The databases of the last listing that are no targets, and those with another engine, each with the reason.
    fn skipped(&self) -> Boxed<'_, SkippedList> {
        Box::pin(async { SkippedList::default() })
    }

    /// Sets the gauges of the regions.
    fn measure(&self) {}

    /// The names of the accounts, with which the names of databases begin; empty where they have no prefix.
    fn accounts(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// `REGION: REASON` of a database with this name that is not listed; absent if there is none.
    fn why_skipped<'a>(&'a self, _name: &'a str) -> Boxed<'a, Option<String>> {
        Box::pin(async { None })
    }
}

/// The result of a discovery.
#[derive(Debug)]
pub struct Inventory {
    /// The databases. A region that failed contributes its last list.
    pub databases: Vec<Discovered>,
    /// The errors of the regions that failed.
    pub failed: Vec<DiscoverError>,
    /// When the oldest of the regions' lists was made. A region that was never listed does not count.
    pub listed_at: ListedAt,
}

/// The databases that are no targets.
#[derive(Debug, Default)]
pub struct SkippedList {
    /// The databases.
    pub databases: Vec<Skipped>,
    /// The errors of the regions whose databases are missing in it.
    pub failed: Vec<DiscoverError>,
}

/// The databases could not be listed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the RDS databases of {} could not be listed: {reason}", self.place())]
pub struct DiscoverError {
    /// The account of the configuration; absent where it names none.
    pub account: Option<Arc<str>>,
    /// The region; empty where all regions of the account failed.
    pub region: String,
    /// The error of AWS or the network, and what to do.
    pub reason: String,
}

impl DiscoverError {
    fn place(&self) -> String {
        match (&self.account, self.region.as_str()) {
            (None, region) => region.to_owned(),
            (Some(account), "") => format!("the account \"{account}\""),
            (Some(account), region) => format!("the account \"{account}\" in {region}"),
        }
    }

    /// Whether this database is of the part that failed.
    pub(super) fn is_about(&self, database: &Discovered) -> bool {
        let in_region = self.region.is_empty() || self.region == database.region;
        self.account == database.account && in_region
    }

    /// For the log. `known`: whether there is a last list.
    pub(super) fn effect(&self, known: bool) -> &'static str {
        match (self.region.is_empty(), known) {
            (false, true) => "discovery failed in a region; its last list stays in use",
            (false, false) => "discovery failed in a region; its databases are missing",
            (true, true) => "discovery failed in an account; its last list stays in use",
            (true, false) => "discovery failed in an account; its databases are missing",
        }
    }

    /// Whether it may concern the target with this name or address.
    pub(super) fn concerns(&self, wanted: &str) -> bool {
        match (&self.account, wanted.split_once('/')) {
            (Some(account), Some((prefix, _))) => is_same(account, prefix),
            (None, _) | (_, None) => true,
        }
    }

    /// The error for an answer that did not come within this time.
    pub(super) fn timed_out(limit: Duration) -> Self {
        Self {
            account: None,
            region: "the configured regions".into(),
            reason: format!("AWS did not answer within {} s", limit.as_secs()),
        }
    }

    /// The error for a refresh that ended without an answer.
    pub(super) fn crashed(error: &FlightError) -> Self {
        Self {
            account: None,
            region: "the configured regions".into(),
            reason: format!("the refresh ended early ({error}); this is a bug in rds-auth-proxy"),
        }
    }
}

/// Makes IAM passwords.
pub trait Mint: Send + Sync {
    /// A password that logs `user` in at `address`, which must be the database's own endpoint.
    fn mint<'a>(
        &'a self,
        address: &'a HostPort,
        iam: &'a Iam,
        user: &'a str,
    ) -> Boxed<'a, Result<Minted, MintError>>;

    /// The logins of a person, for which a password may have to wait.
    fn person_login(&self) -> PersonLogin {
        PersonLogin::default()
    }
}

/// A fresh IAM password.
pub struct Minted {
    /// The token. It is valid for 15 minutes, or until the credentials that signed it expire.
    pub token: Secret,
    /// The signer.
    pub signer: Signer,
}

/// No IAM password could be made.
#[derive(Debug, thiserror::Error)]
#[error("no IAM password could be made: {reason}")]
pub struct MintError {
    /// A sentence about why the AWS credentials here do not work.
    pub reason: String,
    /// The command or setting that fixes it.
    pub remedy: String,
}

/// Opens streams of a tunnel to an upstream proxy.
pub trait Dial: Send + Sync {
    /// A new stream, independent of all others, or the reason why there is none: either within `limit`. A pod may still refuse
    /// the stream: its first read then fails with a [`LateRefusal`].
    fn dial(&self, limit: Duration) -> Boxed<'_, io::Result<TunnelStream>>;

    /// The error of a stream that is opened within `limit` and closed again, without a connection that needs it. Opens none where a
    /// person may have to log in for it, and none after the first dial.
    fn check(&self, limit: Duration) -> Boxed<'_, Option<io::Error>>;

    /// Whether the last attempt to open a stream succeeded; absent before the first.
    fn is_open(&self) -> Option<bool>;
}

/// A stream of a tunnel.
pub struct TunnelStream {
    /// The stream, without TLS inside it.
    pub socket: Socket,
    /// The name of its other end in texts: `pod NAME`.
    pub end: String,
    /// Whether the tunnel encrypts by itself and its entrance has proved its identity, so that a password may pass without
    /// TLS inside: nothing between this machine and the cluster can read the stream or pose as its other end. Each stream has
    /// its own answer, because the credentials of a tunnel may change while it is in use.
    pub verified: bool,
}

/// A pod refused a stream after it was opened. The pod has received nothing, so another stream may work. It travels inside
/// the [`io::Error`] of the stream.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct LateRefusal {
    reason: String,
}

impl LateRefusal {
    /// The error of the stream, of the kind `ConnectionRefused`.
    #[must_use]
    pub fn into_error(reason: String) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionRefused, Self { reason })
    }

    /// Whether this is the error of a stream that a pod refused late.
    #[must_use]
    pub fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// An error of a tunnel with more to read than its text. It travels inside the [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Hinted {
    text: String,
    hint: String,
}

impl Hinted {
    /// An error of this kind. `hint` is a whole sentence.
    #[must_use]
    pub fn into_error(kind: io::ErrorKind, text: String, hint: String) -> io::Error {
        io::Error::new(kind, Self { text, hint })
    }

    /// The hint of an error that has one.
    #[must_use]
    pub fn hint_of(error: &io::Error) -> Option<&str> {
        Some(&error.get_ref()?.downcast_ref::<Self>()?.hint)
    }
}

//! The ports to the outside: AWS and Kubernetes implement them, roles and the directory use them.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use crate::net::{HostPort, Stream};
use crate::secret::Secret;

use super::Discovered;

/// A future that a port returns.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Lists the databases there are.
pub trait Discover: Send + Sync {
    /// Everything that can be reached with IAM, in every configured region, tags included. A region that fails fails as
    /// a whole, since half a list must never replace a whole one, and the call fails if all of them do.
    fn discover(&self) -> Boxed<'_, Result<Inventory, DiscoverError>>;
}

/// What the regions have.
#[derive(Debug)]
pub struct Inventory {
    /// The databases; of a region that failed, those that it had when it answered last.
    pub databases: Vec<Discovered>,
    /// Why the regions failed that did.
    pub failed: Vec<DiscoverError>,
}

/// The databases could not be listed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the RDS databases of {region} could not be listed: {reason}")]
pub struct DiscoverError {
    /// The region asked.
    pub region: String,
    /// What AWS or the network said, and what to do.
    pub reason: String,
}

impl DiscoverError {
    /// No answer came within this time.
    pub(super) fn silent(limit: Duration) -> Self {
        Self {
            region: "the configured regions".into(),
            reason: format!("AWS did not answer within {} s", limit.as_secs()),
        }
    }
}

/// Makes IAM passwords.
pub trait Mint: Send + Sync {
    /// A password that logs `user` in at `address`, which must be the database's own endpoint in `region`.
    fn mint<'a>(
        &'a self,
        address: &'a HostPort,
        region: &'a str,
        user: &'a str,
    ) -> Boxed<'a, Result<Minted, MintError>>;
}

/// A fresh IAM password.
pub struct Minted {
    /// The token, good for 15 minutes or until the credentials that signed it end.
    pub token: Secret,
    /// Who signed it, for people to read: an ARN where it is known, else the access key id.
    pub identity: String,
}

/// No IAM password could be made.
#[derive(Debug, thiserror::Error)]
#[error("no IAM password could be made: {reason}")]
pub struct MintError {
    /// What is wrong with the AWS credentials here, in a sentence.
    pub reason: String,
    /// The command or setting that mends it.
    pub remedy: String,
}

/// Opens a stream to an upstream proxy that no socket address leads to.
pub trait Dial: Send + Sync {
    /// A new stream, independent of all others, or what is in its way: either within `limit`.
    fn dial(&self, limit: Duration) -> Boxed<'_, io::Result<Stream>>;
}

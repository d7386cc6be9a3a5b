//! The port to STS.

use std::sync::Arc;

use super::{RoleCredentials, Service};
use crate::catalog::Boxed;

/// Makes the source of each service. Services with the same source credentials share them.
pub trait RoleSources: Send + Sync {
    /// The source of this service. Makes no call.
    fn source(&self, service: &Service) -> Arc<dyn RoleSource>;
}

/// Gets credentials of one role.
pub trait RoleSource: Send + Sync {
    /// New credentials, by one call of `sts:AssumeRole` (with the retries of the SDK).
    fn assume(&self) -> Boxed<'_, Result<RoleCredentials, AssumeError>>;
}

/// There are no credentials. The text has no secret.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct AssumeError {
    /// A sentence: the error of AWS or of the network, and what to do where that is known.
    pub reason: String,
}

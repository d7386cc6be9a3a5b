//! Temporary credentials of a role.

use std::time::SystemTime;

use crate::secret::Secret;

/// Credentials that STS issued for a role. They exist in memory only, and are wiped with their last owner.
pub struct RoleCredentials {
    /// The access key id, which is no secret.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Secret,
    /// The session token.
    pub session_token: Secret,
    /// When AWS stops to accept them.
    pub expires: SystemTime,
}

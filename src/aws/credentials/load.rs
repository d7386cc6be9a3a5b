//! What a chain loads its credentials from.

use aws_credential_types::Credentials;

use super::credential_source::CredentialSource;
use super::files::Fingerprint;
use super::no_credentials::NoCredentials;
use crate::aws::login::Login;
use crate::catalog::Boxed;

/// Credentials, or why there are none.
pub(super) type Loaded = Result<Credentials, NoCredentials>;

/// Loads credentials.
pub(in crate::aws) trait Load: Send + Sync {
    /// Credentials that are valid now, however long that takes.
    fn load(&self) -> Boxed<'_, Loaded>;

    /// The state of the files that they depend on.
    fn fingerprint(&self) -> Boxed<'_, Fingerprint>;

    /// Does the login that an error of [`Load::load`] names.
    ///
    /// # Errors
    /// Why it failed.
    fn log_in(&self, login: &Login) -> Boxed<'static, Result<(), String>>;

    /// Where they come from, for advice.
    fn credential_source(&self) -> CredentialSource;
}

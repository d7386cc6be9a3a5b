//! The credentials of roles that the configuration names, one assumed with those of the one before.

use std::sync::Arc;

use super::assume_role::AssumeRole;
use super::chain::Chain;
use super::credential_source::CredentialSource;
use super::files::Fingerprint;
use super::load::{Load, Loaded};
use crate::aws::login::Login;
use crate::catalog::{Boxed, IamRole};

/// The last of some roles.
pub(in crate::aws) struct AssumedRoles {
    /// The credentials that assume the first one.
    pub(in crate::aws) base: Arc<Chain>,
    pub(in crate::aws) sts: AssumeRole,
    pub(in crate::aws) roles: Vec<IamRole>,
}

impl AssumedRoles {
    async fn assume(&self) -> Loaded {
        let mut credentials = self.base.current().await?;
        for role in &self.roles {
            credentials = self.sts.assume(&credentials, role).await?;
        }
        Ok(credentials)
    }
}

/// A login that changes the files of the base changes these credentials too.
impl Load for AssumedRoles {
    fn load(&self) -> Boxed<'_, Loaded> {
        Box::pin(self.assume())
    }

    fn fingerprint(&self) -> Boxed<'_, Fingerprint> {
        Box::pin(self.base.fingerprint())
    }

    fn log_in(&self, login: &Login) -> Boxed<'static, Result<(), String>> {
        self.base.log_in(login)
    }

    fn credential_source(&self) -> CredentialSource {
        self.base.credential_source()
    }
}

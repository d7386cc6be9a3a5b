//! Asks the SDK's default chain for credentials, once.

use std::sync::Arc;
use std::time::SystemTime;

use aws_config::ConfigLoader;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;

use super::credential_source::{Origin, Role, noted_expiry};
use super::files::{Files, Fingerprint};
use super::no_credentials::CredentialsFault;
use crate::aws::untraced::quiet;

/// How the SDK's configuration is made: the same way at the start and for every rebuilt chain.
pub(in crate::aws) type Loader = Arc<dyn Fn() -> ConfigLoader + Send + Sync>;

/// Where credentials come from. Clones are the same one.
#[derive(Clone)]
pub(in crate::aws) struct Source {
    pub(in crate::aws) loader: Loader,
    pub(in crate::aws) files: Files,
}

impl Source {
    /// Credentials that are good now, from a chain of their own. Takes as long as a `credential_process` takes.
    pub(super) async fn load(&self) -> Result<Credentials, CredentialsFault> {
        let mut credentials = quiet(Box::pin(self.ask())).await.map_err(|error| {
            CredentialsFault::not_loaded(&self.origin(), Role::read(&self.files).as_ref(), &error)
        })?;
        if credentials.expiry().is_none() && !self.files.keys_in_environment {
            *credentials.expiry_mut() = noted_expiry(&self.files, credentials.access_key_id());
        }
        match credentials.expiry() {
            Some(end) if end <= SystemTime::now() => Err(CredentialsFault::expired(&self.origin(), end)),
            _ => Ok(credentials),
        }
    }

    /// Where the credentials come from, for advice.
    pub(super) fn origin(&self) -> Origin {
        Origin::read(&self.files)
    }

    /// What the files look like now.
    pub(super) async fn fingerprint(&self) -> Fingerprint {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || files.fingerprint()).await.unwrap_or_default()
    }

    async fn ask(&self) -> Result<Credentials, CredentialsError> {
        let config = (self.loader)().load().await;
        let provider = config.credentials_provider().ok_or_else(CredentialsError::not_loaded_no_source)?;
        provider.provide_credentials().await
    }
}

//! Loads credentials from the SDK's default chain, once.

use std::sync::Arc;
use std::time::SystemTime;

use aws_config::ConfigLoader;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;

use super::credential_source::{AssumedRole, CredentialSource};
use super::files::{Files, Fingerprint};
use super::no_credentials::NoCredentials;
use super::profiles::{names, saml2aws_expiry};
use crate::aws::untraced::untraced;

/// Makes the SDK's configuration, at the start and for every load.
pub(in crate::aws) type NewConfig = Arc<dyn Fn() -> ConfigLoader + Send + Sync>;

/// Loads credentials. Clones read the same files.
#[derive(Clone)]
pub(in crate::aws) struct CredentialLoader {
    pub(in crate::aws) new_config: NewConfig,
    pub(in crate::aws) files: Files,
}

impl CredentialLoader {
    /// Credentials that are valid now, from a new chain. Takes as long as a `credential_process` takes.
    pub(super) async fn load(&self) -> Result<Credentials, NoCredentials> {
        let mut credentials =
            untraced(Box::pin(self.provide())).await.map_err(|error| match self.files.denied().first() {
                Some(denied) => NoCredentials::denied(denied),
                None => self.not_loaded(&error),
            })?;
        if credentials.expiry().is_none() && !self.files.keys_in_environment {
            *credentials.expiry_mut() = saml2aws_expiry(&self.files, credentials.access_key_id());
        }
        match credentials.expiry() {
            Some(expiry) if expiry <= SystemTime::now() => {
                Err(NoCredentials::expired(&self.credential_source(), expiry))
            }
            _ => Ok(credentials),
        }
    }

    fn not_loaded(&self, error: &CredentialsError) -> NoCredentials {
        let (source, profiles) = (self.credential_source(), names(&self.files));
        match source {
            CredentialSource::Machine(profile) if !profiles.is_empty() && !profiles.contains(&profile) => {
                NoCredentials::no_such_profile(&profile, &profiles)
            }
            source => NoCredentials::not_loaded(&source, AssumedRole::read(&self.files).as_ref(), error),
        }
    }

    /// Where the credentials come from, for advice.
    pub(super) fn credential_source(&self) -> CredentialSource {
        CredentialSource::read(&self.files)
    }

    /// The state of the files now.
    pub(super) async fn fingerprint(&self) -> Fingerprint {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || files.fingerprint()).await.unwrap_or_default()
    }

    async fn provide(&self) -> Result<Credentials, CredentialsError> {
        let config = (self.new_config)().load().await;
        let provider = config.credentials_provider().ok_or_else(CredentialsError::not_loaded_no_source)?;
        provider.provide_credentials().await
    }
}

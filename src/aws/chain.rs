//! The AWS credentials in use: the SDK's default chain, rebuilt when the files it reads have changed.
//!
//! The SDK reads profile files once in the life of a chain, and it caches credentials for as long as they say they
//! live. A new `aws sso login` would thus wait for a restart. Here the files are looked at for every connection (a
//! few `stat` calls), and a change throws chain and credentials away.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::ConfigLoader;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::fault::CredentialsFault;
use super::files::{Files, Fingerprint};
use super::origin::{Origin, noted_expiry};
use super::quiet::quiet;

/// Credentials that end sooner than this are fetched anew: a token dies with the credentials that signed it.
const LAST_USE: Duration = Duration::from_mins(1);

/// How long credentials without an end are kept, as long as the SDK's own cache does.
const UNDATED_LIFE: Duration = Duration::from_mins(15);

/// How long the chain may take; a `credential_process` and SSO take seconds.
const LOAD_TIMEOUT: Duration = Duration::from_secs(12);

/// How the SDK's configuration is made: the same way at the start and for every rebuilt chain.
pub(super) type Loader = Arc<dyn Fn() -> ConfigLoader + Send + Sync>;

/// What time it is.
pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The credentials of this process, for signing and for the SDK's clients.
pub(super) struct Chain {
    loader: Loader,
    files: Files,
    clock: Clock,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    credentials: Credentials,
    loaded: SystemTime,
    seen: Fingerprint,
}

impl Chain {
    pub(super) fn new(loader: Loader, files: Files, clock: Clock) -> Self {
        Self { loader, files, clock, kept: Mutex::new(None) }
    }

    /// Credentials that are good now. Connections that come while they are being fetched wait and share them.
    pub(super) async fn current(&self) -> Result<Credentials, CredentialsFault> {
        let seen = self.fingerprint().await;
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.seen == seen && kept.is_fresh(self.now())) {
            return Ok(kept.credentials.clone());
        }
        // What is there may be dead or overwritten: it goes before the next is known to come.
        *kept = None;
        let credentials = self.load().await?;
        *kept = Some(Kept { credentials: credentials.clone(), loaded: self.now(), seen });
        Ok(credentials)
    }

    /// Where the credentials come from, for advice.
    pub(super) fn origin(&self) -> Origin {
        Origin::read(&self.files)
    }

    pub(super) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    async fn fingerprint(&self) -> Fingerprint {
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || files.fingerprint()).await.unwrap_or_default()
    }

    async fn load(&self) -> Result<Credentials, CredentialsFault> {
        let mut credentials = timeout(LOAD_TIMEOUT, quiet(Box::pin(self.ask())))
            .await
            .map_err(|_| CredentialsFault::timed_out(&self.origin(), LOAD_TIMEOUT))?
            .map_err(|error| CredentialsFault::not_loaded(&self.origin(), &error))?;
        if credentials.expiry().is_none() && !self.files.keys_in_environment {
            *credentials.expiry_mut() = noted_expiry(&self.files, credentials.access_key_id());
        }
        match credentials.expiry() {
            Some(end) if end <= self.now() => Err(CredentialsFault::expired(&self.origin(), end)),
            _ => Ok(credentials),
        }
    }

    async fn ask(&self) -> Result<Credentials, CredentialsError> {
        let config = (self.loader)().load().await;
        let provider = config.credentials_provider().ok_or_else(CredentialsError::not_loaded_no_source)?;
        provider.provide_credentials().await
    }
}

impl Kept {
    fn is_fresh(&self, now: SystemTime) -> bool {
        let end = self.credentials.expiry().map_or(self.loaded + UNDATED_LIFE, |end| end - LAST_USE);
        now < end
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.current().await.map_err(CredentialsError::provider_error)
        })
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Chain").field("profile", &self.files.profile).finish_non_exhaustive()
    }
}

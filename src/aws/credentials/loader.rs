//! Loads credentials from the SDK's default chain, once.

use std::sync::Arc;
use std::time::SystemTime;

use aws_config::ConfigLoader;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};

use super::assume_role::AssumeRole;
use super::credential_source::{AssumedRole, CredentialSource};
use super::files::{Files, Fingerprint};
use super::load::{Load, Loaded};
use super::mfa::{Assumed, MfaRole};
use super::no_credentials::NoCredentials;
use super::profiles::{saml2aws_expiry, sources};
use super::sessions::Sessions;
use super::shared_config::{SharedConfig, name_for_sdk};
use crate::aws::environment::is_key;
use crate::aws::login::{Login, code_of, open_session};
use crate::aws::untraced::untraced;
use crate::catalog::{AwsClock, Boxed};

/// Makes the SDK's configuration, at the start and for every load.
type NewConfig = Arc<dyn Fn() -> ConfigLoader + Send + Sync>;

/// The keys that become a part of a request.
const KEYS: [&str; 3] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];

/// Loads credentials. Clones read the same files.
#[derive(Clone)]
pub(in crate::aws) struct CredentialLoader {
    pub(in crate::aws) new_config: NewConfig,
    pub(in crate::aws) files: Files,
    /// A setting with which no call can succeed.
    pub(in crate::aws) problem: Option<NoCredentials>,
    sessions: Sessions,
    /// The role that a code of a second factor brought.
    assumed: Assumed,
}

impl CredentialLoader {
    pub(in crate::aws) fn new(new_config: NewConfig, files: Files) -> Self {
        Self { new_config, files, problem: None, sessions: Sessions::default(), assumed: Assumed::default() }
    }

    async fn load_once(&self) -> Loaded {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        if let Some(assumed) = self.assumed.fresh(&self.files.fingerprint()) {
            return Ok(assumed);
        }
        let shared = self.shared()?;
        self.check_keys(&shared)?;
        let credentials =
            untraced(Box::pin(self.provide(&shared))).await.map_err(|error| self.explain(&shared, &error))?;
        let mut credentials = usable(credentials)
            .ok_or_else(|| NoCredentials::unusable_key(&self.credential_source().to_string()))?;
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

    /// Assumes the role of the profile with a code that a person types.
    async fn enter_code(self) -> Result<(), String> {
        let seen = self.files.fingerprint();
        let shared = SharedConfig::read(&self.files).map_err(|error| error.to_string())?;
        let role = MfaRole::of(&shared, &self.files.profile)
            .ok_or("the profile names no role with a source_profile")?;
        let environment = self.files.environment.clone().with_profile(&role.source_profile);
        let source =
            Self { files: Files::named_by(environment), assumed: Assumed::default(), ..self.clone() };
        let base = Box::pin(source.load_once()).await.map_err(|error| error.to_string())?;
        let code = code_of(&role.device).await?;
        let config = untraced(Box::pin(self.sdk_config(&shared).await.load())).await;
        let sts = AssumeRole::new(&config, &AwsClock::default());
        self.assumed.keep(role.assume(&sts, &base, code).await?, seen);
        Ok(())
    }

    /// The SDK's configuration with variables and files as the AWS CLI reads them.
    pub(in crate::aws) async fn sdk_config(&self, shared: &SharedConfig) -> ConfigLoader {
        let profiles =
            EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, shared.for_sdk()).build();
        let variables = self.files.environment.for_sdk(&name_for_sdk(&self.files.profile));
        let file_system = self.sessions.file_system(&self.files, shared).await;
        (self.new_config)().env(variables).fs(file_system).profile_files(profiles)
    }

    /// The files matter only without keys in the environment.
    fn shared(&self) -> Result<SharedConfig, NoCredentials> {
        match SharedConfig::read(&self.files) {
            Err(_) if self.files.keys_in_environment => Ok(SharedConfig::default()),
            read => read.map_err(|error| NoCredentials::broken_file(&error)),
        }
    }

    /// The SDK panics over a key that no header can carry.
    fn check_keys(&self, shared: &SharedConfig) -> Result<(), NoCredentials> {
        if let Some(variable) = self.files.environment.unusable_key() {
            return Err(NoCredentials::unusable_key(variable));
        }
        for (profile, keys) in sources(shared, &self.files.profile) {
            let unusable = |key: &str| keys.get(key).is_some_and(|value| !is_key(value));
            if let Some(key) = KEYS.into_iter().find(|key| unusable(key)) {
                return Err(NoCredentials::unusable_key(&format!("{key} of the profile \"{profile}\"")));
            }
        }
        Ok(())
    }

    fn explain(&self, shared: &SharedConfig, error: &CredentialsError) -> NoCredentials {
        if let Some(denied) = self.files.denied().first() {
            return NoCredentials::denied(denied);
        }
        if matches!(error, CredentialsError::CredentialsNotLoaded(_))
            && let Some(no_profile) = self.no_profile(shared)
        {
            return no_profile;
        }
        NoCredentials::not_loaded(&self.credential_source(), AssumedRole::read(&self.files).as_ref(), error)
    }

    /// The error where a profile is named that no file has.
    pub(in crate::aws) fn no_profile(&self, shared: &SharedConfig) -> Option<NoCredentials> {
        let files = &self.files;
        let is_named = files.environment.get("AWS_PROFILE").is_some() && files.profile != "default";
        (is_named && !shared.has(&files.profile)).then(|| NoCredentials::no_profile(files, shared))
    }

    async fn provide(&self, shared: &SharedConfig) -> Result<Credentials, CredentialsError> {
        let config = self.sdk_config(shared).await.load().await;
        let provider = config.credentials_provider().ok_or_else(CredentialsError::not_loaded_no_source)?;
        provider.provide_credentials().await
    }
}

/// From a new chain for each load. Takes as long as a `credential_process` takes.
impl Load for CredentialLoader {
    fn load(&self) -> Boxed<'_, Loaded> {
        Box::pin(self.load_once())
    }

    fn fingerprint(&self) -> Boxed<'_, Fingerprint> {
        let files = self.files.clone();
        let read = tokio::task::spawn_blocking(move || files.fingerprint());
        Box::pin(async { read.await.unwrap_or_default() })
    }

    fn log_in(&self, login: &Login) -> Boxed<'static, Result<(), String>> {
        match login {
            Login::Sso(profile) => Box::pin(open_session(profile.clone())),
            Login::Code(_) => Box::pin(self.clone().enter_code()),
        }
    }

    fn credential_source(&self) -> CredentialSource {
        CredentialSource::read(&self.files)
    }
}

/// The credentials without white space around the keys. `None` if a request cannot carry them.
fn usable(credentials: Credentials) -> Option<Credentials> {
    let (id, secret) = (credentials.access_key_id().trim(), credentials.secret_access_key().trim());
    let token = credentials.session_token().map(str::trim).filter(|token| !token.is_empty());
    if ![Some(id), Some(secret), token].into_iter().flatten().all(is_key) {
        return None;
    }
    let is_clean = id == credentials.access_key_id()
        && secret == credentials.secret_access_key()
        && token == credentials.session_token();
    if is_clean {
        return Some(credentials);
    }
    Some(Credentials::new(id, secret, token.map(str::to_owned), credentials.expiry(), "rds-auth-proxy"))
}

//! Why there are no usable AWS credentials, and the remedy.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;

use super::credential_source::{AssumedRole, CredentialSource};
use super::files::{Denied, Files};
use super::shared_config::{BrokenFile, SharedConfig};
use crate::aws::login::Login;
use crate::catalog::MintError;
use crate::error_chain;
use crate::single_flight::FlightError;

/// There are no usable credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub(in crate::aws) struct NoCredentials {
    /// The cause, without a full stop.
    pub(in crate::aws) reason: String,
    /// The command or setting that helps, in the imperative.
    pub(in crate::aws) remedy: String,
    /// What a person at a terminal can do.
    pub(in crate::aws) login: Option<Login>,
}

impl NoCredentials {
    /// The chain returned none.
    pub(super) fn not_loaded(
        source: &CredentialSource,
        role: Option<&AssumedRole>,
        error: &CredentialsError,
    ) -> Self {
        let detail = error_chain::text(error);
        // A credential_process may print the same word about something else.
        let is_refused = detail.contains("AccessDenied") && !detail.contains("external process");
        if let Some(role) = role.filter(|_| is_refused) {
            return Self::role_refused(role, &detail);
        }
        if is_about_the_network(&detail) {
            return Self {
                reason: format!("AWS could not be reached for the credentials of {source}: {detail}"),
                remedy: "check the network, DNS, the VPN, and HTTPS_PROXY and NO_PROXY".into(),
                login: None,
            };
        }
        if detail.contains("RegionDisabledException") {
            return Self {
                reason: format!(
                    "AWS STS is not activated for the account in the region of this process: {detail}"
                ),
                remedy:
                    "enable the region for the account, or name another one in AWS_REGION or in the profile"
                        .into(),
                login: None,
            };
        }
        let reason = match source {
            CredentialSource::Machine(profile)
                if matches!(error, CredentialsError::CredentialsNotLoaded(_)) =>
            {
                format!(
                    "no AWS credentials were found: not in the environment, not in the profile \"{profile}\", and this \
                     machine has no IAM role"
                )
            }
            CredentialSource::AwsLogin(profile) => format!(
                "the profile \"{profile}\" is a session of `aws login`, which this program cannot use"
            ),
            CredentialSource::Sso(profile) if is_about_the_session(&detail) => {
                format!("the AWS SSO session of the profile \"{profile}\" has expired or was never opened")
            }
            CredentialSource::Environment
            | CredentialSource::Sso(_)
            | CredentialSource::Process(_)
            | CredentialSource::Saml2aws(_)
            | CredentialSource::Keys(_)
            | CredentialSource::Machine(_) => {
                format!("the AWS credentials of {source} could not be loaded: {detail}")
            }
        };
        let login = match source {
            CredentialSource::Sso(profile) if is_about_the_session(&detail) => {
                Some(Login::Sso(profile.clone()))
            }
            _ => None,
        };
        Self { reason, remedy: source.remedy(), login }
    }

    /// The same after the login failed.
    pub(super) fn after_login(self, failure: &str) -> Self {
        Self { reason: format!("{}, and the login failed: {failure}", self.reason), ..self }
    }

    /// A file has a syntax error.
    pub(super) fn broken_file(file: &BrokenFile) -> Self {
        Self { reason: file.to_string(), remedy: "correct that line".into(), login: None }
    }

    /// `name` is a variable or a key with a value that no request can carry.
    pub(super) fn unusable_key(name: &str) -> Self {
        Self {
            reason: format!("{name} has white space or a control character within an AWS key"),
            remedy: "copy the key again, on one line".into(),
            login: None,
        }
    }

    /// No file has the profile that a flag, the configuration or a variable names.
    pub(super) fn no_profile(files: &Files, shared: &SharedConfig) -> Self {
        let profile = &files.profile;
        let (config, credentials) = (files.config.display(), files.credentials.display());
        let remedy = if shared.lacks_prefix(profile) {
            format!("write [profile {profile}] in place of [{profile}] in {config}")
        } else {
            match shared.names().join(", ").as_str() {
                "" => {
                    format!("there is no profile yet; make one with `aws configure sso --profile {profile}`")
                }
                names => format!("use one of these: {names}"),
            }
        };
        Self {
            reason: format!("the AWS profile \"{profile}\" is neither in {config} nor in {credentials}"),
            remedy,
            login: None,
        }
    }

    /// The chain returned none, and this process may not read a file that may have them.
    pub(super) fn denied(file: &Denied) -> Self {
        Self { reason: file.to_string(), remedy: "correct the rights of that file".into(), login: None }
    }

    /// The chain returned credentials that have expired.
    pub(super) fn expired(source: &CredentialSource, expiry: SystemTime) -> Self {
        let expiry = humantime::format_rfc3339_seconds(expiry);
        Self {
            reason: format!("the AWS credentials of {source} expired at {expiry}"),
            remedy: source.remedy(),
            login: None,
        }
    }

    /// AWS refused the credentials as expired.
    pub(in crate::aws) fn refused_as_expired(source: &CredentialSource) -> Self {
        Self {
            reason: format!("AWS reports that the credentials of {source} have expired"),
            remedy: source.remedy(),
            login: None,
        }
    }

    /// The chain did not answer in time.
    pub(super) fn timed_out(source: &CredentialSource, waited: Duration) -> Self {
        let waited = waited.as_secs();
        let remedy = match source {
            CredentialSource::Process(profile) => format!(
                "check what the credential_process of the profile \"{profile}\" waits for, and try again when it has ended"
            ),
            CredentialSource::Environment
            | CredentialSource::Sso(_)
            | CredentialSource::AwsLogin(_)
            | CredentialSource::Saml2aws(_)
            | CredentialSource::Keys(_)
            | CredentialSource::Machine(_) => {
                format!("check the network to AWS; if the credentials have expired, {}", source.remedy())
            }
        };
        Self {
            reason: format!("the AWS credentials of {source} did not arrive within {waited} s"),
            remedy,
            login: None,
        }
    }

    /// The load panicked.
    pub(super) fn crashed(error: &FlightError) -> Self {
        Self {
            reason: format!("the AWS credentials could not be read: {error}"),
            remedy: "this is a bug in rds-auth-proxy: please report it".into(),
            login: None,
        }
    }
}

impl From<NoCredentials> for MintError {
    fn from(error: NoCredentials) -> Self {
        Self { reason: error.reason, remedy: error.remedy }
    }
}

/// Whether no answer came from AWS (the texts of the SDK's `SdkError` and `ConnectorError`).
fn is_about_the_network(detail: &str) -> bool {
    !detail.contains("external process")
        && ["dispatch failure", "dns error", "request has timed out", "operation timeout"]
            .iter()
            .any(|sign| detail.contains(sign))
}

/// Whether the portal refused the session or its file is missing, as opposed to a network failure.
fn is_about_the_session(detail: &str) -> bool {
    ["SSO token", "sso/cache", "Unauthorized", "Session token not found or invalid", "InvalidGrant"]
        .iter()
        .any(|sign| detail.contains(sign))
}

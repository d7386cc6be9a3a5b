//! Why there are no usable AWS credentials, and the remedy.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;

use super::credential_source::{AssumedRole, CredentialSource, through_command_line};
use super::files::Denied;
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
        Self { reason, remedy: source.remedy() }
    }

    /// The chain returned none, and the AWS files have other profiles than the one in use.
    pub(super) fn no_such_profile(profile: &str, profiles: &BTreeSet<String>) -> Self {
        let names: Vec<_> = profiles.iter().map(String::as_str).collect();
        Self {
            reason: format!(
                "no AWS credentials were found: there is no profile \"{profile}\"; the AWS files have the profiles {}",
                names.join(", ")
            ),
            remedy: format!(
                "set AWS_PROFILE to one of them, or create the profile with `aws configure sso --profile {profile}`"
            ),
        }
    }

    /// The chain returned none, and this process may not read a file that may have them.
    pub(super) fn denied(file: &Denied) -> Self {
        Self { reason: file.to_string(), remedy: "correct the rights of that file".into() }
    }

    /// STS refuses the role. A missing MFA code looks like any other refusal.
    fn role_refused(role: &AssumedRole, detail: &str) -> Self {
        let AssumedRole { profile, arn, assumed_by, has_mfa } = role;
        if *has_mfa {
            return Self {
                reason: format!(
                    "the profile \"{profile}\" needs a code of a second factor (`mfa_serial`) for the role {arn}, and \
                     this program cannot prompt for it"
                ),
                remedy: through_command_line(profile),
            };
        }
        Self {
            reason: format!("AWS does not let {assumed_by} assume the role {arn}: {detail}"),
            remedy: "check that the trust policy of the role names this identity, and that the identity's own policies \
                     allow it sts:AssumeRole on the role"
                .into(),
        }
    }

    /// The chain returned credentials that have expired.
    pub(super) fn expired(source: &CredentialSource, expiry: SystemTime) -> Self {
        let expiry = humantime::format_rfc3339_seconds(expiry);
        Self {
            reason: format!("the AWS credentials of {source} expired at {expiry}"),
            remedy: source.remedy(),
        }
    }

    /// AWS refused the credentials as expired.
    pub(in crate::aws) fn refused_as_expired(source: &CredentialSource) -> Self {
        Self {
            reason: format!("AWS reports that the credentials of {source} have expired"),
            remedy: source.remedy(),
        }
    }

    /// The chain did not answer in time.
    pub(super) fn timed_out(source: &CredentialSource, waited: Duration) -> Self {
        let waited = waited.as_secs();
        let remedy = match source {
            CredentialSource::Process(profile) => format!(
                "check what the credential_process of the profile \"{profile}\" waits for: it still runs, and the \
                 first connection after it ends uses its credentials"
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
        Self { reason: format!("the AWS credentials of {source} did not arrive within {waited} s"), remedy }
    }

    /// The load panicked.
    pub(super) fn crashed(error: &FlightError) -> Self {
        Self {
            reason: format!("the AWS credentials could not be read: {error}"),
            remedy: "this is a bug in rds-auth-proxy: please report it".into(),
        }
    }
}

impl From<NoCredentials> for MintError {
    fn from(error: NoCredentials) -> Self {
        Self { reason: error.reason, remedy: error.remedy }
    }
}

/// Whether the portal refused the session or its file is missing, as opposed to a network failure.
fn is_about_the_session(detail: &str) -> bool {
    ["SSO token", "sso/cache", "Unauthorized", "Session token not found or invalid", "InvalidGrant"]
        .iter()
        .any(|sign| detail.contains(sign))
}

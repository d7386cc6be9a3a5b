//! Why there are no usable AWS credentials, and what mends it.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;

use super::credential_source::{Origin, Role, by_command_line};
use crate::catalog::MintError;
use crate::single_flight::FlightError;

/// No usable credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub(in crate::aws) struct CredentialsFault {
    /// What is wrong, without a full stop.
    pub(in crate::aws) reason: String,
    /// The command or setting that mends it, in the imperative.
    pub(in crate::aws) remedy: String,
}

impl CredentialsFault {
    /// The chain gave none.
    pub(super) fn not_loaded(origin: &Origin, role: Option<&Role>, error: &CredentialsError) -> Self {
        let detail = causes(error);
        // What a credential_process says is its own.
        let is_refused = detail.contains("AccessDenied") && !detail.contains("external process");
        if let Some(role) = role.filter(|_| is_refused) {
            return Self::role_refused(role, &detail);
        }
        let reason = match (error, origin) {
            (CredentialsError::CredentialsNotLoaded(_), Origin::Machine(profile)) => format!(
                "no AWS credentials were found: not in the environment, not in the profile \"{profile}\", and this \
                 machine has no role of its own"
            ),
            (_, Origin::Login(profile)) => format!(
                "this program cannot use sessions of `aws login`, and the profile \"{profile}\" is one"
            ),
            (_, Origin::Sso(profile)) if is_about_the_session(&detail) => {
                format!("the AWS SSO session of the profile \"{profile}\" has expired or was never opened")
            }
            _ => format!("the AWS credentials of {origin} could not be loaded: {detail}"),
        };
        Self { reason, remedy: origin.remedy() }
    }

    /// STS does not give out the role. Without the code of a second factor it says no more than that.
    fn role_refused(role: &Role, detail: &str) -> Self {
        let Role { profile, arn, source, has_second_factor } = role;
        if *has_second_factor {
            return Self {
                reason: format!(
                    "the profile \"{profile}\" needs a code of a second factor (`mfa_serial`) for the role {arn}, and \
                     this program cannot ask for one"
                ),
                remedy: by_command_line(profile),
            };
        }
        Self {
            reason: format!("AWS does not let {source} assume the role {arn}: {detail}"),
            remedy: "check that the trust policy of the role names this identity, and that the identity's own policies \
                     allow it sts:AssumeRole on the role"
                .into(),
        }
    }

    /// They are there, and of no use any more.
    pub(super) fn expired(origin: &Origin, end: SystemTime) -> Self {
        let end = humantime::format_rfc3339_seconds(end);
        Self { reason: format!("the AWS credentials of {origin} expired at {end}"), remedy: origin.remedy() }
    }

    /// AWS itself says that they are of no use any more.
    pub(in crate::aws) fn refused_as_expired(origin: &Origin) -> Self {
        Self {
            reason: format!("AWS says that the credentials of {origin} have expired"),
            remedy: origin.remedy(),
        }
    }

    /// The chain did not answer.
    pub(super) fn timed_out(origin: &Origin, waited: Duration) -> Self {
        let waited = waited.as_secs();
        Self {
            reason: format!("the AWS credentials of {origin} did not arrive within {waited} s"),
            remedy: match origin {
                Origin::Process(profile) => format!(
                    "see what the credential_process of the profile \"{profile}\" waits for: it still runs, and the \
                     first connection after its end uses what it gave"
                ),
                _ => {
                    format!("check the network to AWS; if the credentials have expired, {}", origin.remedy())
                }
            },
        }
    }

    /// The task that asked for them is gone.
    pub(super) fn crashed(error: &FlightError) -> Self {
        Self {
            reason: format!("the AWS credentials could not be read: {error}"),
            remedy: "this is a fault of rds-auth-proxy: please report it".into(),
        }
    }
}

impl From<CredentialsFault> for MintError {
    fn from(fault: CredentialsFault) -> Self {
        Self { reason: fault.reason, remedy: fault.remedy }
    }
}

/// The messages of an error and of all that caused it. The SDK's own texts often say no more than "service error".
pub(in crate::aws) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// Whether the portal refused the session or its file is missing, in contrast to a network that is down.
fn is_about_the_session(detail: &str) -> bool {
    ["SSO token", "sso/cache", "Unauthorized", "Session token not found or invalid", "InvalidGrant"]
        .iter()
        .any(|sign| detail.contains(sign))
}

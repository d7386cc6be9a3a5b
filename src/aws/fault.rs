//! Why there are no usable AWS credentials, and what mends it.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;

use super::origin::Origin;
use crate::target::MintError;

/// No usable credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub(super) struct CredentialsFault {
    /// What is wrong, without a full stop.
    pub(super) reason: String,
    /// The command or setting that mends it, in the imperative.
    pub(super) remedy: String,
}

impl CredentialsFault {
    /// The chain gave none.
    pub(super) fn not_loaded(origin: &Origin, error: &CredentialsError) -> Self {
        let detail = causes(error);
        let reason = match (error, origin) {
            (CredentialsError::CredentialsNotLoaded(_), Origin::Machine(profile)) => format!(
                "no AWS credentials were found: not in the environment, not in the profile \"{profile}\", and this \
                 machine has no role of its own"
            ),
            (_, Origin::Sso(profile)) if is_about_the_session(&detail) => {
                format!("the AWS SSO session of the profile \"{profile}\" has expired or was never opened")
            }
            _ => format!("the AWS credentials of {origin} could not be loaded: {detail}"),
        };
        Self { reason, remedy: origin.remedy() }
    }

    /// They are there, and of no use any more.
    pub(super) fn expired(origin: &Origin, end: SystemTime) -> Self {
        let end = humantime::format_rfc3339_seconds(end);
        Self { reason: format!("the AWS credentials of {origin} expired at {end}"), remedy: origin.remedy() }
    }

    /// AWS itself says that they are of no use any more.
    pub(super) fn refused_as_expired(origin: &Origin) -> Self {
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
            remedy: format!("check the network to AWS; if the credentials have expired, {}", origin.remedy()),
        }
    }
}

impl From<CredentialsFault> for MintError {
    fn from(fault: CredentialsFault) -> Self {
        Self { reason: fault.reason, remedy: fault.remedy }
    }
}

/// The messages of an error and of all that caused it. The SDK's own texts often say no more than "service error".
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
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

//! Why a role could not be assumed, and the remedy.

use super::credential_source::{AssumedRole, through_command_line};
use super::no_credentials::NoCredentials;
use crate::aws::login::Login;

/// A role that STS does not let an identity assume.
#[derive(Clone, Copy)]
pub(super) struct RefusedRole<'a> {
    /// Its ARN.
    pub(super) arn: &'a str,
    /// The identity, as text for an error.
    pub(super) assumed_by: &'a str,
    /// The error code of STS; empty without an answer.
    pub(super) code: &'a str,
    /// Code and message, or why there is no answer.
    pub(super) detail: &'a str,
}

impl NoCredentials {
    /// STS refuses the role. A missing MFA code looks like any other refusal.
    pub(super) fn role_refused(role: &AssumedRole, detail: &str) -> Self {
        let AssumedRole { profile, arn, assumed_by, mfa_serial } = role;
        if let Some(device) = mfa_serial {
            return Self {
                reason: format!(
                    "the profile \"{profile}\" needs a code of a second factor (`mfa_serial`) for the role {arn}, and \
                     this program prompts for it only in a client on a terminal"
                ),
                remedy: through_command_line(profile),
                login: Some(Login::Code(device.clone())),
            };
        }
        Self::not_trusted(assumed_by, arn, detail)
    }

    /// STS did not return credentials of a role that the configuration names.
    pub(super) fn no_role(RefusedRole { arn, assumed_by, code, detail }: RefusedRole<'_>) -> Self {
        let failed = format!("{assumed_by} could not assume the role {arn} (sts:AssumeRole): {detail}");
        let remedy = match code {
            "AccessDenied" | "AccessDeniedException" => return Self::not_trusted(assumed_by, arn, detail),
            "ValidationError" => {
                "correct the role in `assume_role`: the longest `duration` is the maximum session duration of the role, and one hour \
                 for credentials that belong to a role themselves"
            }
            "RegionDisabledException" => {
                "enable the region for the account, or name another one as `region` in `assume_role`"
            }
            "ExpiredToken" | "ExpiredTokenException" => "renew the credentials that assume the role",
            "" => "check the network, DNS, the VPN, and HTTPS_PROXY and NO_PROXY",
            _ => {
                "read the answer of AWS STS in the text; the role is one of `assume_role` in the configuration"
            }
        };
        Self { reason: failed, remedy: remedy.into(), login: None }
    }

    fn not_trusted(assumed_by: &str, arn: &str, detail: &str) -> Self {
        Self {
            reason: format!("AWS does not let {assumed_by} assume the role {arn}: {detail}"),
            remedy: "check that the trust policy of the role names this identity, and that the identity's own policies \
                     allow it sts:AssumeRole on the role"
                .into(), login: None }
    }
}

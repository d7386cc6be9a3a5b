//! Why a role could not be assumed, and the remedy.

use super::credential_source::{AssumedRole, through_command_line};
use super::no_credentials::NoCredentials;
use crate::aws::login::Login;
use crate::aws::sts::{NotIssued, TRUST};

/// A role that STS does not let an identity assume.
#[derive(Clone, Copy)]
pub(super) struct RefusedRole<'a> {
    /// Its ARN.
    pub(super) arn: &'a str,
    /// The identity, as text for an error.
    pub(super) assumed_by: &'a str,
    pub(super) error: &'a NotIssued,
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
    pub(super) fn no_role(RefusedRole { arn, assumed_by, error }: RefusedRole<'_>) -> Self {
        let detail = &error.detail;
        let remedy = match (error.code.as_str(), error.remedy()) {
            (_, Some(TRUST)) => return Self::not_trusted(assumed_by, arn, detail),
            (_, Some(remedy)) => remedy,
            ("ValidationError", None) => {
                "correct the role in `assume_role`: the longest `duration` is the maximum session duration of the role, and one hour \
                 for credentials that belong to a role themselves"
            }
            ("RegionDisabledException", None) => {
                "enable the region for the account, or name another one as `region` in `assume_role`"
            }
            (_, None) => {
                "read the answer of AWS STS in the text; the role is one of `assume_role` in the configuration"
            }
        };
        let reason = format!("{assumed_by} could not assume the role {arn} (sts:AssumeRole): {detail}");
        Self { reason, remedy: remedy.into(), login: None }
    }

    fn not_trusted(assumed_by: &str, arn: &str, detail: &str) -> Self {
        Self {
            reason: format!("AWS does not let {assumed_by} assume the role {arn}: {detail}"),
            remedy: TRUST.into(),
            login: None,
        }
    }
}

//! Sends one call of `AssumeRole` to STS.
//!
//! Source: AWS Security Token Service API Reference, `AssumeRole`.

use std::time::SystemTime;

use aws_config::Region;
use aws_credential_types::Credentials;
use aws_sdk_sts::config::Builder;
use aws_sdk_sts::error::ProvideErrorMetadata;
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;

use super::untraced::untraced;
use crate::error_chain;

/// The remedy where STS refuses the role.
pub(super) const TRUST: &str = "check that the trust policy of the role names this identity, and that the identity's own policies \
     allow it sts:AssumeRole on the role";

/// Credentials of a role.
pub(super) struct Issued {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) session_token: String,
    pub(super) expires: SystemTime,
}

/// Why STS returned none.
pub(super) struct NotIssued {
    /// The error code of STS; empty without an answer.
    pub(super) code: String,
    /// Code and message, or why there is no answer.
    pub(super) detail: String,
}

impl NotIssued {
    /// What to do, where that depends on the code alone.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        match self.code.as_str() {
            "AccessDenied" | "AccessDeniedException" => Some(TRUST),
            "ExpiredToken" | "ExpiredTokenException" => Some("renew the credentials that assume the role"),
            "" => Some("check the network, DNS, the VPN, and HTTPS_PROXY and NO_PROXY"),
            _ => None,
        }
    }
}

/// Sends the call, signed with `base` for the STS of this region.
pub(super) async fn assume_role(
    call: AssumeRoleFluentBuilder,
    base: Credentials,
    region: Option<Region>,
) -> Result<Issued, NotIssued> {
    let mut signer = Builder::new().credentials_provider(base);
    signer.set_region(region);
    match untraced(Box::pin(call.customize().config_override(signer).send())).await {
        Ok(answer) => issued(answer).ok_or_else(|| NotIssued {
            code: "InvalidResponse".into(),
            detail: "STS returned no credentials".into(),
        }),
        Err(error) => {
            let detail = match (error.code(), error.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                _ => error_chain::text(&error),
            };
            Err(NotIssued { code: error.code().unwrap_or_default().to_owned(), detail })
        }
    }
}

fn issued(answer: AssumeRoleOutput) -> Option<Issued> {
    let found = answer.credentials?;
    Some(Issued {
        access_key_id: found.access_key_id,
        secret_access_key: found.secret_access_key,
        session_token: found.session_token,
        expires: SystemTime::try_from(found.expiration).ok()?,
    })
}

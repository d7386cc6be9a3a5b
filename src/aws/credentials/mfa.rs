//! The role of a profile that needs a code of a second factor (`mfa_serial`), which a person types.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Assume role credential provider".

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use parking_lot::Mutex;

use super::assume_role::{AssumeRole, MfaCode};
use super::files::Fingerprint;
use super::shared_config::SharedConfig;
use crate::catalog::IamRole;

/// Credentials with less time left than this are no longer used.
const MIN_REMAINING: Duration = Duration::from_mins(1);

/// The credentials that the last code brought. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Assumed(Arc<Mutex<Option<(Credentials, Fingerprint)>>>);

/// The role of a profile with `source_profile` and `mfa_serial`.
pub(super) struct MfaRole {
    pub(super) role: IamRole,
    pub(super) source_profile: String,
    pub(super) device: String,
}

impl Assumed {
    /// The credentials, unless they end within a minute or the profiles have changed since.
    pub(super) fn fresh(&self, seen: &Fingerprint) -> Option<Credentials> {
        let kept = self.0.lock();
        let (credentials, with) = kept.as_ref()?;
        let is_fresh = credentials.expiry().is_some_and(|end| SystemTime::now() + MIN_REMAINING < end);
        (is_fresh && with.has_same_profiles(seen)).then(|| credentials.clone())
    }

    pub(super) fn keep(&self, credentials: Credentials, seen: Fingerprint) {
        *self.0.lock() = Some((credentials, seen));
    }
}

impl MfaRole {
    /// Absent if the profile has no such role, or is its own source.
    pub(super) fn of(shared: &SharedConfig, profile: &str) -> Option<Self> {
        let mut keys = shared.profile(profile);
        let source_profile = keys.remove("source_profile").filter(|source| source != profile)?;
        let seconds = keys.remove("duration_seconds").and_then(|seconds| seconds.parse().ok());
        Some(Self {
            device: keys.remove("mfa_serial")?,
            role: IamRole {
                arn: keys.remove("role_arn")?,
                session_name: keys.remove("role_session_name"),
                external_id: keys.remove("external_id"),
                duration: seconds.map(Duration::from_secs),
                region: None,
            },
            source_profile,
        })
    }

    /// Credentials of the role.
    ///
    /// # Errors
    /// STS refuses the code or the role.
    pub(super) async fn assume(
        &self,
        sts: &AssumeRole,
        base: &Credentials,
        code: String,
    ) -> Result<Credentials, String> {
        let code = MfaCode { device: self.device.clone(), code };
        sts.assume_with(base, &self.role, Some(code)).await.map_err(|error| error.reason)
    }
}

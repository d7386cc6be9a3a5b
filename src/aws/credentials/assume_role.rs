//! Assumes a role of the configuration.

use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;

use super::identity::Identities;
use super::no_credentials::NoCredentials;
use super::refused_role::RefusedRole;
use crate::aws::clock::ReportDate;
use crate::aws::sts::{self, Issued, NotIssued};
use crate::catalog::{AwsClock, IamRole, Signer};

/// The name of a session where the base identity has none, or STS does not return it.
const SESSION_NAME: &str = "rds-auth-proxy";

/// Assumes roles through STS.
#[derive(Clone)]
pub(in crate::aws) struct AssumeRole {
    client: Client,
    /// Those of the credentials that assume roles.
    identities: Arc<Identities>,
}

/// A code that a person typed.
pub(super) struct MfaCode {
    /// The device: its serial number or ARN.
    pub(super) device: String,
    pub(super) code: String,
}

impl AssumeRole {
    /// With region, endpoint and HTTP client of this configuration, but none of its credentials.
    pub(in crate::aws) fn new(config: &SdkConfig, clock: &AwsClock) -> Self {
        let sts = Builder::from(config).interceptor(ReportDate(clock.clone()));
        let client = Client::from_conf(sts.build());
        Self { identities: Arc::new(Identities::new(client.clone())), client }
    }

    /// Credentials of the role, which end at a known time. `base` are those that assume it.
    ///
    /// # Errors
    /// STS refuses or does not answer. The text names the role, the identity of `base` and `sts:AssumeRole`.
    pub(in crate::aws) async fn assume(
        &self,
        base: &Credentials,
        role: &IamRole,
    ) -> Result<Credentials, NoCredentials> {
        self.assume_with(base, role, None).await
    }

    /// The same with a code of a second factor.
    pub(super) async fn assume_with(
        &self,
        base: &Credentials,
        role: &IamRole,
        code: Option<MfaCode>,
    ) -> Result<Credentials, NoCredentials> {
        let session = match &role.session_name {
            Some(name) => name.clone(),
            None => self.session_of(base).await.unwrap_or_else(|| SESSION_NAME.to_owned()),
        };
        let region = role.region.clone().map(Region::new);
        let region = region.or_else(|| self.client.config().region().cloned());
        let seconds = role.duration.and_then(|duration| i32::try_from(duration.as_secs()).ok());
        let call = self.client.assume_role().role_arn(&role.arn).role_session_name(session);
        let call = call.set_external_id(role.external_id.clone()).set_duration_seconds(seconds);
        let (device, code) = code.map(|MfaCode { device, code }| (device, code)).unzip();
        let call = call.set_serial_number(device).set_token_code(code);
        match sts::assume_role(call, base.clone(), region).await {
            Ok(issued) => Ok(credentials(issued)),
            Err(error) => {
                // The error names the identity, so it is worth a call.
                self.identities.look_up(base).await;
                Err(self.refused(role, base, &error))
            }
        }
    }

    /// The name of the session or user that `base` belongs to.
    async fn session_of(&self, base: &Credentials) -> Option<String> {
        let arn = self.identities.look_up(base).await?;
        let signer = Signer { access_key_id: base.access_key_id().to_owned(), arn: Some(arn) };
        signer.session_name().map(str::to_owned)
    }

    fn refused(&self, role: &IamRole, base: &Credentials, error: &NotIssued) -> NoCredentials {
        let access_key_id = base.access_key_id().to_owned();
        let assumed_by = Signer { access_key_id, arn: self.identities.known(base) }.to_string();
        NoCredentials::no_role(RefusedRole { arn: &role.arn, assumed_by: &assumed_by, error })
    }
}

fn credentials(issued: Issued) -> Credentials {
    let Issued { access_key_id, secret_access_key, session_token, expires } = issued;
    Credentials::new(access_key_id, secret_access_key, Some(session_token), Some(expires), "AssumeRole")
}

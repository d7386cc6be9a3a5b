//! Facts about the credentials in use, for people.

use std::time::SystemTime;

use super::Aws;
use crate::catalog::MintError;

/// Credentials that are valid now. Nothing in it is a secret.
pub struct CredentialFacts {
    /// The access key id.
    pub access_key_id: String,
    /// The ARN of its owner; absent if STS does not return it.
    pub arn: Option<String>,
    /// Where they come from, for the middle of a sentence.
    pub source: String,
    /// When they end; absent if they say nothing about it.
    pub expiry: Option<SystemTime>,
    /// The command or setting that brings new ones, in the imperative.
    pub renewal: String,
}

impl Aws {
    /// The region of the AWS configuration; absent if nothing names one.
    #[must_use]
    pub fn region_name(&self) -> Option<&str> {
        self.region.as_ref().map(|named| named.region.as_ref())
    }

    /// The credentials in use, or why there are none. Waits for STS, 5 s at most.
    pub(super) async fn credential_facts(&self) -> Result<CredentialFacts, MintError> {
        let credentials = self.chain.current().await?;
        let source = self.chain.credential_source();
        Ok(CredentialFacts {
            access_key_id: credentials.access_key_id().to_owned(),
            arn: self.identities.look_up(&credentials).await,
            source: source.to_string(),
            expiry: credentials.expiry(),
            renewal: source.remedy(),
        })
    }
}

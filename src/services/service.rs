//! One service: its token, its role, and the credentials that assume the role.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// A container or process that gets credentials.
#[derive(Clone, PartialEq)]
pub struct Service {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// What it sends in the header `Authorization`: visible ASCII.
    pub token: Secret,
    /// What assumes the role.
    pub source: SourceCredentials,
    /// The role whose credentials it gets.
    pub role: AssumedRole,
}

/// AWS credentials that may assume the role, and the region of STS.
#[derive(Clone, PartialEq)]
pub struct SourceCredentials {
    /// The region of STS; absent: that of the AWS configuration.
    pub region: Option<String>,
    /// The credentials.
    pub base: Base,
}

/// Where source credentials come from.
#[derive(Clone, PartialEq)]
pub enum Base {
    /// The default chain of the SDK.
    Chain,
    /// A profile.
    Profile {
        /// Its name.
        name: String,
        /// The configuration file with it; absent: `AWS_CONFIG_FILE`, else `~/.aws/config`.
        config_file: Option<PathBuf>,
    },
    /// An access key.
    Keys {
        /// The access key id.
        access_key_id: String,
        /// The secret access key.
        secret_access_key: Secret,
        /// The session token of temporary credentials.
        session_token: Option<Secret>,
    },
}

/// The parameters of `sts:AssumeRole`
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>).
#[derive(Clone, PartialEq)]
pub struct AssumedRole {
    /// `RoleArn`
    pub arn: String,
    /// `RoleSessionName`
    pub session_name: String,
    /// `DurationSeconds`
    pub duration: Duration,
    /// `ExternalId`
    pub external_id: Option<String>,
    /// `Policy`: a JSON document that narrows the rights of the session.
    pub policy: Option<String>,
    /// `PolicyArns`: managed policies that narrow them.
    pub policy_arns: Vec<String>,
    /// `SourceIdentity`
    pub source_identity: Option<String>,
    /// `Tags`
    pub tags: Vec<SessionTag>,
    /// `TransitiveTagKeys`
    pub transitive_tag_keys: Vec<String>,
}

/// A tag of a session.
#[derive(Clone, PartialEq)]
pub struct SessionTag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

#[cfg(test)]
impl Service {
    /// A service that gets this role for this time, by the default chain.
    pub(crate) fn for_test(arn: &str, duration: Duration) -> Self {
        let role = AssumedRole {
            arn: arn.to_owned(),
            session_name: "credproxy".to_owned(),
            duration,
            external_id: None,
            policy: None,
            policy_arns: Vec::new(),
            source_identity: None,
            tags: Vec::new(),
            transitive_tag_keys: Vec::new(),
        };
        let source = SourceCredentials { region: None, base: Base::Chain };
        Self { name: "web".to_owned(), token: Secret::new("token"), source, role }
    }
}

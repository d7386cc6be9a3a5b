//! The AWS identities of the configuration.

use std::sync::Arc;
use std::time::Duration;

/// An AWS identity.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AwsIdentity {
    /// The AWS profile, in place of `AWS_PROFILE` and of keys in the environment.
    pub profile: Option<String>,
    /// The roles to assume, one with the credentials of the one before.
    pub roles: Vec<IamRole>,
}

/// An account whose databases are listed under its name, and logged in to with its identity.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsAccount {
    /// Its name in the configuration: letters, digits, hyphens and underscores.
    pub name: Arc<str>,
    /// Its identity. Without a profile, that of the process assumes the roles.
    pub identity: AwsIdentity,
    /// The regions to list; empty: that of the AWS configuration.
    pub regions: Vec<String>,
}

/// A role to assume.
#[derive(Clone, PartialEq, Eq)]
pub struct IamRole {
    /// Its ARN, such as `arn:aws:iam::123456789012:role/developer`.
    pub arn: String,
    /// The name of the session, which is in the ARN of the credentials and in `CloudTrail`. Absent: that of the identity that assumes
    /// the role.
    pub session_name: Option<String>,
    /// What the trust policy of the role may require. Not a secret to AWS, but nothing for a log.
    pub external_id: Option<String>,
    /// How long the credentials are valid. Absent: one hour, the default of STS.
    pub duration: Option<Duration>,
    /// The region whose STS is called. Absent: that of the AWS configuration.
    pub region: Option<String>,
}

//! A role in IAM whose credentials STS returns.

use std::time::Duration;

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

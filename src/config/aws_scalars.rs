//! Parses the values of AWS identities: profiles, roles, regions.

use super::scalars::Scalar;

/// Whether a client on a terminal runs the login command.
#[derive(Clone)]
pub(super) struct SsoLogin(pub(super) bool);

/// The name of an AWS profile.
#[derive(Clone)]
pub(super) struct ProfileName(pub(super) String);

/// The ARN of a role in IAM.
#[derive(Clone)]
pub(super) struct RoleArn(pub(super) String);

/// The name of a session.
#[derive(Clone)]
pub(super) struct SessionName(pub(super) String);

/// The external id that a trust policy requires.
#[derive(Clone)]
pub(super) struct ExternalId(pub(super) String);

/// A region of AWS.
#[derive(Clone)]
pub(super) struct RegionName(pub(super) String);

impl Scalar for ProfileName {
    const EXPECTED: &'static str = "the name of an AWS profile";

    fn read(text: &str) -> Option<Self> {
        let name = text.trim();
        (!name.is_empty()).then(|| Self(name.to_owned()))
    }
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME` (AWS IAM User Guide, "IAM identifiers").
impl Scalar for RoleArn {
    const EXPECTED: &'static str = "the ARN of a role, such as arn:aws:iam::123456789012:role/NAME";

    fn read(text: &str) -> Option<Self> {
        let (head, name) = text.split_once(":role/")?;
        let [arn, partition, "iam", "", account] = head.split(':').collect::<Vec<_>>()[..] else {
            return None;
        };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let fits = arn == "arn" && partition.starts_with("aws") && is_account && text.len() <= 2048;
        let is_name =
            !name.is_empty() && !name.ends_with('/') && name.bytes().all(|byte| byte.is_ascii_graphic());
        (fits && is_name).then(|| Self(text.to_owned()))
    }
}

/// Letters, digits and these (AWS Security Token Service API Reference, `AssumeRole`).
fn consists_of(text: &str, more: &[u8], longest: usize) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
    (2..=longest).contains(&text.len()) && text.bytes().all(is_part)
}

impl Scalar for SessionName {
    const EXPECTED: &'static str = "2 to 64 letters, digits and `_+=,.@-`";

    fn read(text: &str) -> Option<Self> {
        consists_of(text, b"_+=,.@-", 64).then(|| Self(text.to_owned()))
    }
}

impl Scalar for ExternalId {
    const EXPECTED: &'static str = "2 to 1224 letters, digits and `_+=,.@:/-`";

    fn read(text: &str) -> Option<Self> {
        consists_of(text, b"_+=,.@:/-", 1224).then(|| Self(text.to_owned()))
    }
}

impl Scalar for RegionName {
    const EXPECTED: &'static str = "an AWS region, such as us-east-1";

    fn read(text: &str) -> Option<Self> {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (text.contains('-') && text.bytes().all(is_part)).then(|| Self(text.to_owned()))
    }
}

impl Scalar for SsoLogin {
    const EXPECTED: &'static str = "auto or never";

    fn read(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self(true)),
            "never" => Some(Self(false)),
            _ => None,
        }
    }
}

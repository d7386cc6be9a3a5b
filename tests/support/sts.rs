//! The calls of the STS API that the fake AWS endpoint answers (AWS Security Token Service API Reference, 2011-06-15).

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_rds::primitives::{DateTime, DateTimeFormat};

use super::identity::AccessKey;
use super::rds_api::{element, wrap};

/// A role in IAM that `sts:AssumeRole` may return credentials for.
#[derive(Clone, Debug)]
pub struct Role {
    pub arn: String,
    /// The identities of its trust policy: ARNs, or for an assumed role the ARN without the name of the session.
    pub trusts: Vec<String>,
    /// The condition `sts:ExternalId` of its trust policy.
    pub external_id: Option<String>,
    /// Its maximum session duration.
    pub longest: Duration,
    /// How long its credentials are valid, where that is not what the call asks for.
    pub lifetime: Option<Duration>,
    /// The device and the code that its trust policy requires (`aws:MultiFactorAuthPresent`).
    pub mfa: Option<(String, String)>,
}

/// Code and message of an error.
pub type Refused = (&'static str, String);

impl Role {
    /// A role of this account that trusts these identities.
    pub fn new(arn: &str, trusts: &[&str]) -> Self {
        let trusts = trusts.iter().map(|arn| (*arn).to_owned()).collect();
        let (external_id, longest) = (None, Duration::from_hours(1));
        Self { arn: arn.to_owned(), trusts, external_id, longest, lifetime: None, mfa: None }
    }

    /// New credentials for `caller`, and the result of the call.
    pub fn assume(
        roles: &[Self],
        caller: &str,
        form: &HashMap<String, String>,
    ) -> Result<(AccessKey, String), Refused> {
        let parameter = |name: &str| form.get(name).map(String::as_str);
        let arn = parameter("RoleArn").unwrap_or_default();
        let denied = || {
            let text =
                format!("User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}");
            ("AccessDenied", text)
        };
        let role = roles.iter().find(|role| role.arn == arn).ok_or_else(denied)?;
        let trusted =
            role.trusts.iter().any(|trusted| caller == trusted || caller.starts_with(&format!("{trusted}/")));
        if !trusted || role.external_id.as_deref() != parameter("ExternalId") {
            return Err(denied());
        }
        if let Some((serial, code)) = &role.mfa {
            let given = (parameter("SerialNumber"), parameter("TokenCode"));
            match given {
                (None, _) => return Err(denied()),
                (Some(given), Some(typed)) if given == serial && typed == code => {}
                _ => {
                    return Err((
                        "AccessDenied",
                        "MultiFactorAuthentication failed with invalid MFA one time pass code.".into(),
                    ));
                }
            }
        }
        let asked = parameter("DurationSeconds").map_or(3600, |seconds| seconds.parse().unwrap());
        if Duration::from_secs(asked) > role.longest {
            let text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(("ValidationError", text.into()));
        }
        let session = parameter("RoleSessionName").unwrap_or_default();
        let key = AccessKey {
            arn: Some(format!("{}/{session}", role.session_arn())),
            ..AccessKey::session(role.lifetime.unwrap_or(Duration::from_secs(asked)))
        };
        let answer = answer(&key);
        Ok((key, answer))
    }

    /// `arn:aws:sts::ACCOUNT:assumed-role/NAME`, which has no path.
    fn session_arn(&self) -> String {
        let account = self.arn.split(':').nth(4).unwrap();
        format!("arn:aws:sts::{account}:assumed-role/{}", self.name())
    }

    /// Its name, without its path.
    pub fn name(&self) -> &str {
        self.arn.rsplit('/').next().unwrap()
    }
}

fn answer(key: &AccessKey) -> String {
    let expiry = DateTime::from(key.expires.unwrap_or_else(SystemTime::now));
    let credentials = element("AccessKeyId", &key.id)
        + &element("SecretAccessKey", &key.secret)
        + &element("SessionToken", key.session_token.as_deref().unwrap())
        + &element("Expiration", &expiry.fmt(DateTimeFormat::DateTime).unwrap());
    let arn = key.arn.as_deref().unwrap();
    let user = element("Arn", arn) + &element("AssumedRoleId", "AROAEXAMPLE:session");
    wrap("AssumedRoleUser", &user) + &wrap("Credentials", &credentials)
}

//! IAM tokens as a server receives them: the signer, and whether a token is for this login. The database verifies the
//! signature.

use std::time::{Duration, SystemTime};

use percent_encoding::percent_decode_str;

use super::{Iam, IamService, TokenError};
use crate::net::HostPort;

/// How far the clocks of signer and server may differ. AWS allows five minutes too.
const CLOCK_SLACK: Duration = Duration::from_mins(5);

/// The longest part of a token that an error quotes, in characters.
const MAX_QUOTE: usize = 128;

/// What an IAM token must contain to log in at a target.
#[derive(Clone, Debug)]
pub struct TokenRule {
    /// The target's own endpoint.
    pub address: HostPort,
    /// Where tokens for the target are valid; absent where that is not known.
    pub iam: Option<Iam>,
    /// The database user of the startup packet.
    pub user: String,
    /// Refuses every password that is no token (`rds.require_iam`).
    pub required: bool,
}

/// What a token says about itself. Only the database can verify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClaim {
    /// The access key id of the signer, which is no secret.
    pub access_key_id: String,
    /// When it was signed, by the signer's clock.
    pub signed: SystemTime,
}

/// The action that a token of Aurora DSQL has to be for, by the database user (Amazon Aurora DSQL User Guide, "Authentication
/// and authorization", "Connecting to your cluster using IAM").
#[must_use]
pub fn dsql_action(user: &str) -> &'static str {
    if user == "admin" { "DbConnectAdmin" } else { "DbConnect" }
}

impl TokenRule {
    /// Checks a password at this time. Returns `None` where the password is no token.
    ///
    /// A token is a presigned URL without its scheme (Amazon RDS User Guide, "Connecting to your DB instance using IAM
    /// authentication"; Amazon Aurora DSQL User Guide, "Generating an authentication token"; AWS Signature Version 4,
    /// "Authenticating Requests: Using Query Parameters").
    pub fn check(&self, password: &[u8], now: SystemTime) -> Result<Option<TokenClaim>, TokenError> {
        let Some(token) = Token::parse(password) else {
            return if self.required { Err(TokenError::NotAToken) } else { Ok(None) };
        };
        if let Some(expected) = self.iam.as_ref().map(|iam| iam.service)
            && expected != token.service
        {
            return Err(TokenError::Service { found: token.service, expected });
        }
        token.check_address(&self.address)?;
        token.check_user(&self.user)?;
        let signed = token.check_time(now)?;
        let access_key_id = token.check_credential(self.iam.as_ref().map(|iam| iam.region.as_str()))?;
        Ok(Some(TokenClaim { access_key_id, signed }))
    }
}

/// A password that has the form of an IAM token.
struct Token<'a> {
    endpoint: &'a str,
    query: &'a str,
    service: IamService,
}

impl<'a> Token<'a> {
    fn parse(password: &'a [u8]) -> Option<Self> {
        let (endpoint, query) = std::str::from_utf8(password).ok()?.split_once('?')?;
        let service = values(query, "Action").find_map(|action| match action {
            "connect" => Some(IamService::Rds),
            "DbConnect" | "DbConnectAdmin" => Some(IamService::Dsql),
            _ => None,
        })?;
        let is_signed = values(query, "X-Amz-Credential").next().is_some();
        is_signed.then_some(Self { endpoint: endpoint.trim_end_matches('/'), query, service })
    }

    /// The value of a parameter that must be there once: of two values, RDS may take the other one.
    fn value(&self, parameter: &'static str) -> Result<&'a str, TokenError> {
        let mut values = values(self.query, parameter);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(TokenError::Malformed { parameter }),
        }
    }

    fn check_address(&self, expected: &HostPort) -> Result<(), TokenError> {
        let expected = match self.service {
            IamService::Rds if self.endpoint.parse::<HostPort>().is_ok_and(|found| found == *expected) => {
                return Ok(());
            }
            IamService::Rds => expected.to_string(),
            // Without the port.
            IamService::Dsql if self.endpoint.eq_ignore_ascii_case(&expected.host) => return Ok(()),
            IamService::Dsql => expected.host.clone(),
        };
        Err(TokenError::Address { found: quote(self.endpoint), expected })
    }

    fn check_user(&self, expected: &str) -> Result<(), TokenError> {
        let action = self.value("Action")?;
        match self.service {
            IamService::Rds => self.check_named_user(expected),
            IamService::Dsql if action == dsql_action(expected) => Ok(()),
            IamService::Dsql => Err(TokenError::Action {
                found: quote(action),
                expected: dsql_action(expected),
                user: quote(expected),
            }),
        }
    }

    fn check_named_user(&self, expected: &str) -> Result<(), TokenError> {
        let value = self.value("DBUser")?;
        let found = decoded(value);
        // Form encoding, as of Go's url.Values, writes a space as `+`.
        if found == expected || decoded(&value.replace('+', " ")) == expected {
            return Ok(());
        }
        Err(TokenError::User { found: quote(&found), expected: quote(expected) })
    }

    fn check_time(&self, now: SystemTime) -> Result<SystemTime, TokenError> {
        let signed = signing_time(self.value("X-Amz-Date")?)?;
        let seconds = self.value("X-Amz-Expires")?.parse().ok().filter(|seconds| *seconds <= 604_800);
        let lifetime = seconds.ok_or(TokenError::Malformed { parameter: "X-Amz-Expires" })?;
        let ends = signed + Duration::from_secs(lifetime);
        if let Ok(early) = signed.duration_since(now)
            && early > CLOCK_SLACK
        {
            return Err(TokenError::NotYetValid(early));
        }
        match now.duration_since(ends) {
            Ok(late) if late > CLOCK_SLACK => Err(TokenError::Expired(late)),
            _ => Ok(signed),
        }
    }

    /// `ACCESS_KEY_ID/DATE/REGION/SERVICE/aws4_request`. Returns the access key id.
    fn check_credential(&self, region: Option<&str>) -> Result<String, TokenError> {
        let malformed = TokenError::Malformed { parameter: "X-Amz-Credential" };
        let credential = decoded(self.value("X-Amz-Credential")?);
        let parts: Vec<_> = credential.split('/').collect();
        let [id, _date, found, service, "aws4_request"] = parts.as_slice() else { return Err(malformed) };
        let is_service = match self.service {
            IamService::Rds => *service == "rds-db",
            IamService::Dsql => *service == "dsql",
        };
        let is_id =
            !id.is_empty() && id.len() <= MAX_QUOTE && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_id || !is_service {
            return Err(malformed);
        }
        match region {
            Some(expected) if expected != *found => {
                Err(TokenError::Region { found: quote(found), expected: expected.to_owned() })
            }
            _ => Ok((*id).to_owned()),
        }
    }
}

/// The values of a parameter of the query.
fn values<'a>(query: &'a str, name: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
    let pairs = query.split('&').filter_map(|parameter| parameter.split_once('='));
    pairs.filter(move |(known, _)| *known == name).map(|(_, value)| value)
}

/// `20260131T235959Z`.
fn signing_time(text: &str) -> Result<SystemTime, TokenError> {
    let malformed = || TokenError::Malformed { parameter: "X-Amz-Date" };
    let digits = text.replace(['T', 'Z'], "");
    if text.len() != 16 || digits.len() != 14 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let time = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14)
    );
    humantime::parse_rfc3339(&time).map_err(|_| malformed())
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn quote(text: &str) -> String {
    text.chars().take(MAX_QUOTE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "db.example.com:5432/?Action=connect&DBUser=alice&X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIDEXAMPLE%2F20260131%2Fus-east-1%2Frds-db%2Faws4_request&X-Amz-Date=20260131T120000Z\
        &X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=00";

    fn rule() -> TokenRule {
        TokenRule {
            address: HostPort::new("db.example.com", 5432),
            iam: Some(Iam { region: "us-east-1".into(), service: IamService::Rds, account: None }),
            user: "alice".into(),
            required: false,
        }
    }

    const DSQL_TOKEN: &str = "abc.dsql.us-east-1.on.aws/?Action=DbConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIDEXAMPLE%2F20260131%2Fus-east-1%2Fdsql%2Faws4_request&X-Amz-Date=20260131T120000Z\
        &X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=00";

    fn dsql_rule(user: &str) -> TokenRule {
        TokenRule {
            address: HostPort::new("abc.dsql.us-east-1.on.aws", 5432),
            iam: Some(Iam { region: "us-east-1".into(), service: IamService::Dsql, account: None }),
            user: user.into(),
            required: true,
        }
    }

    /// So many seconds after the token was signed.
    fn at(seconds: i64) -> SystemTime {
        let signed = humantime::parse_rfc3339("2026-01-31T12:00:00Z").unwrap();
        let distance = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { signed - distance } else { signed + distance }
    }

    fn check(token: &str) -> Result<Option<String>, TokenError> {
        Ok(rule().check(token.as_bytes(), at(0))?.map(|claim| claim.access_key_id))
    }

    #[test]
    fn a_token_for_this_login_names_its_signer() {
        assert_eq!(check(TOKEN), Ok(Some("AKIDEXAMPLE".into())));
        assert_eq!(check(&TOKEN.replace("5432/?", "5432?")), Ok(Some("AKIDEXAMPLE".into())));
        assert_eq!(check(&TOKEN.replace("db.ex", "DB.ex")), Ok(Some("AKIDEXAMPLE".into())));
        let spaced = TokenRule { user: "al ice".into(), ..rule() };
        for user in ["al%20ice", "al+ice"] {
            let token = TOKEN.replace("DBUser=alice", &format!("DBUser={user}"));
            assert!(spaced.check(token.as_bytes(), at(0)).is_ok(), "{user}");
        }
        let unknown = TokenRule { iam: None, ..rule() };
        assert!(unknown.check(TOKEN.as_bytes(), at(0)).is_ok(), "a region that is not known is not compared");
    }

    #[test]
    fn a_token_for_another_login_is_refused() {
        for (from, to, error) in [
            ("db.example.com:5432", "other.example.com:5432", "is for other.example.com:5432, not for db"),
            ("db.example.com:5432", "db.example.com:5433", "is for db.example.com:5433, not for db"),
            ("DBUser=alice", "DBUser=bob", "is for the user \"bob\", not for \"alice\""),
            ("us-east-1", "eu-west-1", "is for the region \"eu-west-1\", not for \"us-east-1\""),
            ("DBUser=alice", "DBUser=alice&DBUser=bob", "no valid DBUser"),
            ("Action=connect", "Action=connect&Action=connect", "no valid Action"),
            ("Action=connect", "Action=DbConnect", "is for Aurora DSQL, not for RDS"),
            ("DBUser=alice&", "", "no valid DBUser"),
            ("rds-db", "s3", "no valid X-Amz-Credential"),
            ("AKIDEXAMPLE", "AKID%0AEXAMPLE", "no valid X-Amz-Credential"),
            ("20260131T120000Z", "20261331T120000Z", "no valid X-Amz-Date"),
            ("20260131T120000Z", "yesterday", "no valid X-Amz-Date"),
            ("Expires=900", "Expires=99999999999999999999", "no valid X-Amz-Expires"),
        ] {
            let refused = check(&TOKEN.replace(from, to)).unwrap_err().to_string();
            assert!(refused.contains(error), "{refused}");
        }
    }

    #[test]
    fn a_token_of_aurora_dsql_is_for_a_host_and_an_action() {
        let admin = DSQL_TOKEN.replace("DbConnect", "DbConnectAdmin");
        for (user, token) in [("alice", DSQL_TOKEN), ("admin", &admin)] {
            for token in [token, &token.replace("abc.dsql", "ABC.dsql"), &token.replace("aws/?", "aws?")] {
                let claim = dsql_rule(user).check(token.as_bytes(), at(0)).unwrap().unwrap();
                assert_eq!(claim.access_key_id, "AKIDEXAMPLE", "{user}");
                let unknown = TokenRule { iam: None, ..dsql_rule(user) };
                assert!(unknown.check(token.as_bytes(), at(0)).is_ok(), "a target of the configuration");
            }
        }
    }

    #[test]
    fn a_token_of_aurora_dsql_for_another_login_is_refused() {
        let needs_admin = "is for the action DbConnect, and the user \"admin\" needs DbConnectAdmin";
        let needs_none = "is for the action DbConnectAdmin, and the user \"alice\" needs DbConnect";
        for (user, from, to, error) in [
            ("admin", "", "", needs_admin),
            ("alice", "DbConnect", "DbConnectAdmin", needs_none),
            ("Admin", "DbConnect", "DbConnectAdmin", "the user \"Admin\" needs DbConnect"),
            ("alice", "abc.dsql", "xyz.dsql", "is for xyz.dsql.us-east-1.on.aws, not for abc.dsql"),
            ("alice", "aws/?", "aws:5432/?", "is for abc.dsql.us-east-1.on.aws:5432, not for abc.dsql"),
            ("alice", "DbConnect", "DbConnect&Action=DbConnectAdmin", "no valid Action"),
            ("alice", "%2Fdsql%2F", "%2Frds-db%2F", "no valid X-Amz-Credential"),
            ("alice", "%2Fus-east-1%2F", "%2Feu-west-1%2F", "is for the region \"eu-west-1\""),
            ("alice", "DbConnect", "connect&DBUser=alice", "is for RDS, not for Aurora DSQL"),
            ("alice", "Expires=900", "Expires=604801", "no valid X-Amz-Expires"),
            ("alice", "DbConnect", "DbAdmin", "is no IAM token"),
        ] {
            let token = if from.is_empty() { DSQL_TOKEN.to_owned() } else { DSQL_TOKEN.replace(from, to) };
            let refused = dsql_rule(user).check(token.as_bytes(), at(0)).unwrap_err().to_string();
            assert!(refused.contains(error), "{token}: {refused}");
        }
    }

    #[test]
    fn a_token_is_valid_for_its_time_and_five_minutes_around_it() {
        for (seconds, valid) in [(-301, false), (-300, true), (0, true), (1200, true), (1201, false)] {
            let checked = rule().check(TOKEN.as_bytes(), at(seconds));
            assert_eq!(checked.is_ok(), valid, "{seconds}: {checked:?}");
        }
        let early = rule().check(TOKEN.as_bytes(), at(-1200)).unwrap_err().to_string();
        assert_eq!(early, "the IAM token was signed 1200 s in the future; check the clocks");
    }

    #[test]
    fn another_password_is_refused_only_where_a_token_is_required() {
        for password in
            [&b"hunter2"[..], b"what?X-Amz-Credential=AKIDEXAMPLE", b"?Action=connect", &[0xff, b'?']]
        {
            assert_eq!(rule().check(password, at(0)), Ok(None));
            let required = TokenRule { required: true, ..rule() };
            assert_eq!(required.check(password, at(0)), Err(TokenError::NotAToken));
        }
    }

    #[test]
    fn an_error_quotes_a_long_text_in_part() {
        let refused =
            check(&TOKEN.replace("DBUser=alice", &format!("DBUser={}", "b".repeat(9000)))).unwrap_err();
        assert!(refused.to_string().len() < 300, "{refused}");
    }
}

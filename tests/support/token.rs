//! Verification of IAM database tokens as in RDS: a presigned `GET` of `host:port/?Action=connect&DBUser=…` for the
//! service `rds-db`, with AWS Signature Version 4 in the query; and as in Aurora DSQL: `host/?Action=DbConnect` or
//! `DbConnectAdmin` for the service `dsql`.
//!
//! Written from the AWS documentation ("Create a signed AWS API request", "Connecting using IAM authentication",
//! "Generating an authentication token in Amazon Aurora DSQL"), without aws-sigv4, with which the proxy signs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::identity::{AccessKey, Identities};

/// Percent-encodes all but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How far ahead the signer's clock may be.
const SKEW: Duration = Duration::from_mins(5);

/// The service that verifies a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Rds,
    Dsql,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Rds => "rds-db",
            Self::Dsql => "dsql",
        }
    }

    fn action(self, user: &str) -> &'static str {
        match (self, user) {
            (Self::Rds, _) => "connect",
            (Self::Dsql, "admin") => "DbConnectAdmin",
            (Self::Dsql, _) => "DbConnect",
        }
    }

    /// The longest lifetime of a token that it accepts, in seconds.
    fn longest(self) -> u64 {
        match self {
            Self::Rds => 900,
            Self::Dsql => 604_800,
        }
    }
}

/// The values for which a token must be signed.
pub struct Expected<'a> {
    pub service: Service,
    /// The endpoint `HOST:PORT`, for Aurora DSQL `HOST`.
    pub endpoint: &'a str,
    pub region: &'a str,
    /// The user of the startup packet.
    pub user: &'a str,
    pub now: SystemTime,
}

/// Verifies a token as RDS does. The error text is the reason of a refusal.
pub fn verify(token: &str, expected: &Expected<'_>, identities: &Identities) -> Result<(), String> {
    let token = Token::parse(token)?;
    token.check_form()?;
    same("Action", token.value("Action")?, expected.service.action(expected.user))?;
    same("endpoint", token.endpoint, expected.endpoint)?;
    if expected.service == Service::Rds {
        same("DBUser", token.value("DBUser")?, expected.user)?;
    }
    let scope = Scope::parse(token.value("X-Amz-Credential")?)?;
    let date = token.value("X-Amz-Date")?;
    same("region", scope.region, expected.region)?;
    same("service", scope.service, expected.service.name())?;
    same("end of the credential scope", scope.terminator, "aws4_request")?;
    same("day of the credential scope", scope.day, date.get(..8).unwrap_or_default())?;
    check_time(date, token.value("X-Amz-Expires")?, expected.service.longest(), expected.now)?;

    let key = identities.find(scope.access_key).ok_or(format!("unknown access key {}", scope.access_key))?;
    if key.expired(expected.now) {
        return Err(format!("the credentials of access key {} have expired", key.id));
    }
    if token.find("X-Amz-Security-Token") != key.session_token.as_deref() {
        return Err(format!("the session token is not the one of access key {}", key.id));
    }
    if token.value("X-Amz-Signature")? != signature(&token, &scope, date, &key.secret) {
        return Err("the signature does not match".into());
    }
    if !key.may_connect {
        return Err(format!("no policy grants rds-db:connect to access key {}", key.id));
    }
    Ok(())
}

/// The access key that signed a token, if it is known.
pub fn signer(token: &str, identities: &Identities) -> Option<AccessKey> {
    let token = Token::parse(token).ok()?;
    identities.find(Scope::parse(token.value("X-Amz-Credential").ok()?).ok()?.access_key)
}

/// Signs a token, for tests of the world and for logins without a client.
pub fn sign(endpoint: &str, region: &str, user: &str, key: &AccessKey, now: SystemTime) -> String {
    sign_for(Service::Rds, endpoint, region, user, key, now)
}

/// The same for a service.
pub fn sign_for(
    service: Service,
    endpoint: &str,
    region: &str,
    user: &str,
    key: &AccessKey,
    now: SystemTime,
) -> String {
    let date = format_date(now);
    let (name, terminator) = (service.name(), "aws4_request");
    let scope = Scope { access_key: &key.id, day: &date[..8], region, service: name, terminator };
    let credential = format!("{}/{}/{region}/{name}/aws4_request", key.id, scope.day);
    let mut parameters = vec![("Action", service.action(user))];
    if service == Service::Rds {
        parameters.push(("DBUser", user));
    }
    parameters.extend([
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", credential.as_str()),
        ("X-Amz-Date", &date),
        ("X-Amz-Expires", "900"),
        ("X-Amz-SignedHeaders", "host"),
    ]);
    parameters.extend(key.session_token.as_deref().map(|token| ("X-Amz-Security-Token", token)));
    let parameters =
        parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let token = Token { endpoint, parameters };
    let signature = signature(&token, &scope, &date, &key.secret);
    format!("{endpoint}/?{}&X-Amz-Signature={signature}", token.canonical_query())
}

/// A parsed token: decoded names and values in their order.
struct Token<'a> {
    endpoint: &'a str,
    parameters: Vec<(String, String)>,
}

impl<'a> Token<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let (endpoint, query) = text.split_once("/?").ok_or("no `/?` between endpoint and query")?;
        let parameters = query
            .split('&')
            .map(|pair| {
                let (name, value) = pair.split_once('=').ok_or(format!("no value in `{pair}`"))?;
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { endpoint, parameters })
    }

    fn check_form(&self) -> Result<(), String> {
        same("X-Amz-Algorithm", self.value("X-Amz-Algorithm")?, "AWS4-HMAC-SHA256")?;
        same("X-Amz-SignedHeaders", self.value("X-Amz-SignedHeaders")?, "host")?;
        let mut names: Vec<_> = self.parameters.iter().map(|(name, _)| name).collect();
        names.sort();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("{} is there twice", pair[0])),
            None => Ok(()),
        }
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn value(&self, name: &str) -> Result<&str, String> {
        self.find(name).ok_or(format!("{name} is missing"))
    }

    /// All parameters except the signature, encoded and sorted.
    fn canonical_query(&self) -> String {
        let mut pairs: Vec<_> = self
            .parameters
            .iter()
            .filter(|(name, _)| name != "X-Amz-Signature")
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        pairs.sort();
        pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

/// `ACCESSKEY/YYYYMMDD/REGION/SERVICE/aws4_request`
struct Scope<'a> {
    access_key: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
}

impl<'a> Scope<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let parts: Vec<_> = text.split('/').collect();
        let [access_key, day, region, service, terminator] = parts[..] else {
            return Err(format!("`{text}` is no credential scope"));
        };
        Ok(Self { access_key, day, region, service, terminator })
    }
}

fn check_time(date: &str, lifetime: &str, longest: u64, now: SystemTime) -> Result<(), String> {
    let signed = parse_date(date).ok_or(format!("`{date}` is no date of the form YYYYMMDDThhmmssZ"))?;
    let lifetime: u64 = lifetime.parse().map_err(|_| format!("X-Amz-Expires `{lifetime}` is no number"))?;
    if lifetime > longest {
        return Err(format!("X-Amz-Expires {lifetime} is more than {longest} seconds"));
    }
    if signed > now + SKEW {
        return Err(format!("it was signed in the future, {date}"));
    }
    if signed + Duration::from_secs(lifetime) <= now {
        return Err(format!("it has expired: signed {date} for {lifetime} seconds"));
    }
    Ok(())
}

fn signature(token: &Token<'_>, scope: &Scope<'_>, date: &str, secret: &str) -> String {
    let empty_body = hex::encode(Sha256::digest(b""));
    let canonical_request =
        format!("GET\n/\n{}\nhost:{}\n\nhost\n{empty_body}", token.canonical_query(), token.endpoint);
    let string_to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{}/{}/{}/aws4_request\n{}",
        scope.day,
        scope.region,
        scope.service,
        hex::encode(Sha256::digest(canonical_request))
    );
    let mut key = hmac(format!("AWS4{secret}").as_bytes(), scope.day);
    for part in [scope.region, scope.service, "aws4_request"] {
        key = hmac(&key, part);
    }
    hex::encode(hmac(&key, &string_to_sign))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Parses a UTC time of the form `YYYYMMDDThhmmssZ`.
pub fn parse_date(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from, to| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if year < 1970
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let days = days_since_1970(year, month, day);
    Some(UNIX_EPOCH + Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

fn format_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let year = (1970..=1970 + days / 365).rev().find(|year| days_since_1970(*year, 1, 1) <= days).unwrap();
    let month = (1..=12).rev().find(|month| days_since_1970(year, *month, 1) <= days).unwrap();
    let day = days - days_since_1970(year, month, 1) + 1;
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Days in the Gregorian calendar. Years begin in March here, so that the leap day is the last day of a year.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    const BEFORE_1970: u64 = 719_468;
    let year = if month <= 2 { year - 1 } else { year };
    let months_since_march = (month + 9) % 12;
    let day_of_year = (153 * months_since_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - BEFORE_1970
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn decode(text: &str) -> Result<String, String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| format!("`{text}` does not decode to UTF-8"))
}

fn same(name: &str, found: &str, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{name} is `{found}`, not `{expected}`")) }
}

//! The IAM token, which is the password: a presigned URL without its scheme.
//!
//! Sources: Amazon RDS User Guide, "Connecting to your DB instance using IAM authentication"; Amazon Aurora DSQL User Guide,
//! "Generating an authentication token"; Signature Version 4 with query parameters.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;

use super::untraced::call_untraced;
use crate::catalog::{Iam, IamService, dsql_action};
use crate::net::HostPort;
use crate::secret::Secret;

/// How long a token is valid: the longest time that RDS allows, and the default of the AWS CLI for Aurora DSQL.
pub(super) const VALID_FOR: Duration = Duration::from_mins(15);

/// The token could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("the token for {address} could not be signed: {detail}")]
pub(super) struct SignError {
    address: HostPort,
    detail: String,
}

/// The contents of a token.
#[derive(Clone, Copy)]
pub(super) struct TokenRequest<'a> {
    /// The endpoint of the database, as RDS names it.
    pub(super) address: &'a HostPort,
    /// The region and the service of the database.
    pub(super) iam: &'a Iam,
    /// The database user, any text.
    pub(super) user: &'a str,
    /// The start of the 15 minutes.
    pub(super) now: SystemTime,
}

/// Signs `HOST:PORT/?Action=connect&DBUser=USER&X-Amz-…`, for Aurora DSQL `HOST/?Action=ACTION&X-Amz-…`. All reserved
/// characters of the user are encoded. The SDK's own generator leaves `+`, `&`, `%`, `#` and blanks as they are, which RDS
/// refuses or which change the URL's meaning.
pub(super) fn sign_token(credentials: &Credentials, wanted: TokenRequest<'_>) -> Result<Secret, SignError> {
    let failed = |detail: String| SignError { address: wanted.address.clone(), detail };
    let (url, service) = url_and_service(wanted);
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(VALID_FOR);
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&wanted.iam.region)
        .name(service)
        .time(wanted.now)
        .settings(settings)
        .build()
        .map_err(|error| failed(error.to_string()))?
        .into();
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::empty())
        .map_err(|error| failed(error.to_string()))?;
    let (instructions, _) =
        call_untraced(|| sign(request, &parameters)).map_err(|error| failed(error.to_string()))?.into_parts();
    let (_, mut parts) = instructions.into_parts();
    parts.sort_by_key(|(name, _)| rank(name));
    Ok(Secret::new(with_parameters(&url, &parts)))
}

/// The URL to sign, and the name of the service in the signature.
fn url_and_service(wanted: TokenRequest<'_>) -> (String, &'static str) {
    let TokenRequest { address, user, .. } = wanted;
    match wanted.iam.service {
        IamService::Rds => {
            (format!("https://{address}/?Action=connect&DBUser={}", percent_encoded(user)), "rds-db")
        }
        IamService::Dsql => (format!("https://{}/?Action={}", address.host, dsql_action(user)), "dsql"),
    }
}

/// The position of a parameter in the tokens of botocore. RDS accepts any order; a fixed one makes tokens comparable.
fn rank(name: &str) -> usize {
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"]
        .iter()
        .position(|known| *known == name)
        .unwrap_or(if name == "X-Amz-Security-Token" { 5 } else { 6 })
}

fn with_parameters(url: &str, parameters: &[(&str, impl AsRef<str>)]) -> String {
    let length: usize =
        parameters.iter().map(|(name, value)| name.len() + 3 * value.as_ref().len() + 2).sum();
    // Reserved at once, because a buffer that grows leaves copies of the token in freed memory.
    let mut token = String::with_capacity(url.len() + length);
    token.push_str(url.trim_start_matches("https://"));
    for (name, value) in parameters {
        token.push('&');
        token.push_str(name);
        token.push('=');
        push_percent_encoded(&mut token, value.as_ref());
    }
    token
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(3 * text.len());
    push_percent_encoded(&mut encoded, text);
    encoded
}

/// Everything but the unreserved characters of RFC 3986, section 2.3, becomes `%XX`.
fn push_percent_encoded(encoded: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        access_key: String,
        secret_key: String,
        #[serde(rename = "vectors")]
        all: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        host: String,
        port: u16,
        region: String,
        user: String,
        session_token: Option<String>,
        unix_time: u64,
        token: String,
    }

    #[test]
    fn tokens_equal_those_of_botocore_byte_for_byte() {
        equals_botocore(IamService::Rds, include_str!("../../tests/vectors/rds_tokens.json"), 80);
        equals_botocore(IamService::Dsql, include_str!("../../tests/vectors/dsql_tokens.json"), 24);
    }

    fn equals_botocore(service: IamService, vectors: &str, count: usize) {
        let known: Vectors = serde_json::from_str(vectors).unwrap();
        assert!(known.all.len() >= count);
        for vector in known.all {
            let credentials = Credentials::new(
                &known.access_key,
                &known.secret_key,
                vector.session_token.clone(),
                None,
                "test",
            );
            let wanted = TokenRequest {
                address: &HostPort::new(&vector.host, vector.port),
                iam: &Iam { region: vector.region, service, account: None },
                user: &vector.user,
                now: SystemTime::UNIX_EPOCH + Duration::from_secs(vector.unix_time),
            };
            assert_eq!(text_of(sign_token(&credentials, wanted)), vector.token, "{}", vector.user);
        }
    }

    fn text_of(token: Result<Secret, SignError>) -> String {
        String::from_utf8(token.unwrap().expose().to_vec()).unwrap()
    }

    proptest! {
        #[test]
        fn the_token_contains_any_user_unchanged(user in any::<String>(), session in any::<bool>()) {
            let session = session.then(|| "a/b+c=".to_owned());
            let credentials = Credentials::new("AKIDEXAMPLE", "key", session.clone(), None, "test");
            let address = HostPort::new("db.example.com", 5432);
            let iam = Iam { region: "us-east-1".into(), service: IamService::Rds, account: None };
            let wanted = TokenRequest { address: &address, iam: &iam, user: &user, now: SystemTime::UNIX_EPOCH };
            let token = text_of(sign_token(&credentials, wanted));
            let query = token.strip_prefix("db.example.com:5432/?").unwrap();
            prop_assert!(query.is_ascii());
            let value = |wanted: &str| {
                let mut values = query.split('&').filter_map(|pair| pair.split_once('='))
                    .filter(|(name, _)| *name == wanted);
                let found = values.next().map(|(_, value)| {
                    percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned()
                });
                assert!(values.next().is_none(), "{wanted} twice");
                found
            };
            prop_assert_eq!(value("Action"), Some("connect".to_owned()));
            prop_assert_eq!(value("DBUser"), Some(user.clone()));
            prop_assert_eq!(value("X-Amz-Security-Token"), session);
            prop_assert_eq!(value("X-Amz-Expires"), Some("900".to_owned()));
            prop_assert_eq!(value("X-Amz-Signature").unwrap().len(), 64);
        }
    }
}

//! The verifier accepts the tokens that botocore signs, and no others.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::support::identity::{AccessKey, Identities};
use crate::support::token::{Expected, Service, parse_date, sign, verify};

const VECTORS: &str = include_str!("../../support/token_vectors.json");

#[derive(Deserialize)]
struct Vectors {
    signed: String,
    vectors: Vec<Vector>,
}

#[derive(Clone, Deserialize)]
struct Vector {
    access_key: String,
    secret: String,
    session_token: Option<String>,
    host: String,
    port: u16,
    region: String,
    user: String,
    token: String,
}

fn vectors() -> (SystemTime, Vec<Vector>) {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    (parse_date(&vectors.signed).unwrap(), vectors.vectors)
}

impl Vector {
    fn key(&self) -> AccessKey {
        AccessKey {
            id: self.access_key.clone(),
            secret: self.secret.clone(),
            session_token: self.session_token.clone(),
            expires: None,
            may_connect: true,
            arn: None,
        }
    }

    fn verify_with(&self, key: AccessKey, now: SystemTime) -> Result<(), String> {
        let identities = Identities::default();
        identities.add(key);
        let endpoint = format!("{}:{}", self.host, self.port);
        let expected = Expected {
            service: Service::Rds,
            endpoint: &endpoint,
            region: &self.region,
            user: &self.user,
            now,
        };
        verify(&self.token, &expected, &identities)
    }

    fn verify_at(&self, now: SystemTime) -> Result<(), String> {
        self.verify_with(self.key(), now)
    }
}

/// The reason why the verifier refuses the first vector after a change.
fn refusal(change: impl FnOnce(&mut Vector)) -> String {
    let (signed, vectors) = vectors();
    let mut vector = vectors[0].clone();
    change(&mut vector);
    vector.verify_at(signed).unwrap_err()
}

#[test]
fn tokens_of_botocore_are_accepted() {
    let (signed, vectors) = vectors();
    assert!(vectors.len() >= 9);
    for vector in vectors {
        assert_eq!(vector.verify_at(signed), Ok(()), "{}", vector.token);
        assert_eq!(vector.verify_at(signed + Duration::from_secs(899)), Ok(()));
    }
}

#[test]
fn tokens_of_the_world_equal_those_of_botocore() {
    let (signed, vectors) = vectors();
    for vector in vectors {
        let endpoint = format!("{}:{}", vector.host, vector.port);
        let ours = sign(&endpoint, &vector.region, &vector.user, &vector.key(), signed);
        // Only the order of the query parameters may differ.
        let sorted = |token: &str| {
            let mut pairs: Vec<_> = token.split(['?', '&']).map(str::to_owned).collect();
            pairs.sort();
            pairs
        };
        assert_eq!(sorted(&ours), sorted(&vector.token));
    }
}

#[test]
fn a_token_expires_after_fifteen_minutes_and_is_not_signed_in_the_future() {
    let (signed, vectors) = vectors();
    for vector in vectors {
        assert!(vector.verify_at(signed + Duration::from_mins(15)).unwrap_err().contains("has expired"));
        assert!(vector.verify_at(signed - Duration::from_secs(301)).unwrap_err().contains("future"));
    }
}

#[test]
fn a_token_is_valid_for_one_endpoint_region_and_user() {
    assert!(refusal(|vector| vector.host = "other".into()).contains("endpoint is"));
    assert!(refusal(|vector| vector.port = 5433).contains("endpoint is"));
    assert!(refusal(|vector| vector.region = "us-east-2".into()).contains("region is"));
    assert!(refusal(|vector| vector.user = "mallory".into()).contains("DBUser is"));
}

#[test]
fn a_changed_token_is_refused() {
    let tamper = |from: &str, to: &str| {
        refusal(|vector| {
            assert!(vector.token.contains(from), "{from}");
            vector.token = vector.token.replacen(from, to, 1);
            // The expected values change with the token, so that only the signature differs.
            vector.user =
                vector.user.replacen("alice", if from.contains("alice") { "mallory" } else { "alice" }, 1);
            vector.host = vector.host.replacen("db-1", if from == "db-1" { "db-2" } else { "db-1" }, 1);
        })
    };
    let mismatch = "the signature does not match";
    assert_eq!(tamper("DBUser=alice", "DBUser=mallory"), mismatch);
    assert_eq!(tamper("db-1", "db-2"), mismatch);
    assert_eq!(tamper("X-Amz-Expires=900", "X-Amz-Expires=899"), mismatch);
    assert_eq!(tamper("123045Z", "123046Z"), mismatch);
    assert_eq!(tamper("&X-Amz-Expires", "&x=y&X-Amz-Expires"), mismatch);
    assert!(tamper("X-Amz-Expires=900", "X-Amz-Expires=90000").contains("more than 900"));
    assert!(tamper("Action=connect", "Action=delete").contains("Action is"));
    assert!(tamper("/?Action", "?Action").contains("no `/?`"));
    assert!(tamper("&X-Amz-Expires", "&X-Amz-Expires=1&X-Amz-Expires").contains("is there twice"));
    assert!(tamper("%2Frds-db%2F", "%2Frds%2F").contains("service is"));
    assert!(tamper("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=").contains("X-Amz-SignedHeaders is"));
    assert!(tamper("X-Amz-Signature=", "X-Amz-Signatur=").contains("X-Amz-Signature is missing"));
}

#[test]
fn a_plus_sign_in_a_user_is_not_a_space() {
    let (signed, vectors) = vectors();
    let mut vector = vectors.into_iter().find(|vector| vector.user == "a b").unwrap();
    vector.token = vector.token.replace("DBUser=a%20b", "DBUser=a+b");
    assert!(vector.verify_at(signed).unwrap_err().contains("DBUser is `a+b`"));
}

#[test]
fn the_access_key_must_match() {
    let (signed, vectors) = vectors();
    let check = |vector: &Vector, change: &dyn Fn(&mut AccessKey)| {
        let mut key = vector.key();
        change(&mut key);
        vector.verify_with(key, signed).unwrap_err()
    };
    let with_token = vectors.iter().find(|vector| vector.session_token.is_some()).unwrap();
    assert!(check(&vectors[0], &|key| key.secret.push('x')).contains("signature does not match"));
    assert!(check(&vectors[0], &|key| key.id.push('x')).contains("unknown access key"));
    assert!(check(&vectors[0], &|key| key.session_token = Some("x".into())).contains("session token"));
    assert!(check(with_token, &|key| key.session_token = None).contains("session token"));
    assert!(check(with_token, &|key| key.session_token = Some("x".into())).contains("session token"));
    assert!(check(&vectors[0], &|key| key.expires = Some(signed)).contains("have expired"));
    assert!(check(&vectors[0], &|key| key.may_connect = false).contains("rds-db:connect"));
}

#[test]
fn dates_are_parsed_as_utc() {
    let seconds =
        |text| parse_date(text).map(|date| date.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
    assert_eq!(seconds("19700101T000000Z"), Some(0));
    assert_eq!(seconds("20000229T120000Z"), Some(951_825_600));
    assert_eq!(seconds("20260301T123045Z"), Some(1_772_368_245));
    for wrong in
        ["20260301T123045", "2026-03-01T12:30", "20261301T000000Z", "20260301T240000Z", "日本日本日本"]
    {
        assert_eq!(seconds(wrong), None, "{wrong}");
    }
}

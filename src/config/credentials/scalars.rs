//! Parses the text of one value that only `credentials` has.

use std::fmt;
use std::net::IpAddr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::config::scalars::{Parsed, Scalar};
use crate::secret::Secret;

/// The most bytes of a token: a header stays small.
const MAX_TOKEN: usize = 4096;

/// The most bytes of an inline policy (the packed size has a lower limit, which only STS knows).
const MAX_POLICY: usize = 2048;

/// A token of a service.
pub(super) struct Token(pub(super) Secret);

/// A part of an access key.
pub(super) struct AccessKey(pub(super) Secret);

/// A JSON object.
pub(super) struct PolicyDocument(pub(super) String);

/// A host name or an IP address, with or without brackets.
pub(super) struct ListenHost(pub(super) String);

/// A managed policy: its ARN, or `{arn: …}` as in the API.
pub(super) struct PolicyArn(pub(super) String);

impl Scalar for Token {
    const EXPECTED: &'static str = "a token of visible ASCII without spaces, of at most 4096 characters";

    fn read(text: &str) -> Option<Self> {
        (text.len() <= MAX_TOKEN && is_visible(text)).then(|| Self(Secret::new(text)))
    }
}

impl Scalar for AccessKey {
    const EXPECTED: &'static str = "a part of an AWS access key";

    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        is_visible(text).then(|| Self(Secret::new(text)))
    }
}

impl Scalar for PolicyDocument {
    const EXPECTED: &'static str = "a policy: a JSON object of at most 2048 characters, as one text";

    fn read(text: &str) -> Option<Self> {
        let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
        let fits = parsed.is_some_and(|value| value.is_object()) && text.len() <= MAX_POLICY;
        fits.then(|| Self(text.to_owned()))
    }
}

impl Scalar for ListenHost {
    const EXPECTED: &'static str = "a host name or an IP address, without a port";

    fn read(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let part_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits = bare.parse::<IpAddr>().is_ok() || (!bare.is_empty() && bare.bytes().all(part_of_name));
        fits.then(|| Self(bare.to_owned()))
    }
}

impl Scalar for u64 {
    const EXPECTED: &'static str = "a whole number";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl<'de> Deserialize<'de> for PolicyArn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PolicyArnVisitor)
    }
}

struct PolicyArnVisitor;

/// The entry of `PolicyArns` in the API.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Descriptor {
    arn: Parsed<ManagedPolicy>,
}

struct ManagedPolicy(String);

impl Scalar for ManagedPolicy {
    const EXPECTED: &'static str = "the ARN of a managed policy";

    fn read(text: &str) -> Option<Self> {
        let fits = text.starts_with("arn:") && text.contains(":policy/") && text.len() <= 2048;
        (fits && is_visible(text)).then(|| Self(text.to_owned()))
    }
}

impl<'de> Visitor<'de> for PolicyArnVisitor {
    type Value = PolicyArn;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(ManagedPolicy::EXPECTED)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<PolicyArn, E> {
        let unexpected = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
        ManagedPolicy::read(text).map(|policy| PolicyArn(policy.0)).ok_or_else(unexpected)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<PolicyArn, A::Error> {
        let descriptor = Descriptor::deserialize(MapAccessDeserializer::new(entries))?;
        Ok(PolicyArn(descriptor.arn.0.0))
    }
}

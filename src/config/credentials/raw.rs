//! The configuration as typed. The key names are CredProxy's; `allow_any_address`, `socket` and `Policy…` are new.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::scalars::{AccessKey, ListenHost, PolicyArn, PolicyDocument, Token};
use crate::config::aws_scalars::{ExternalId, ProfileName, RegionName, RoleArn, SessionName};
use crate::config::scalars::{Parsed, PathText};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawFile {
    pub(super) server: Server,
    pub(super) credentials: Times,
    pub(super) aws_defaults: Source,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) dynamic_services: Dynamic,
    pub(super) metrics: Metrics,
}

/// Our own configuration, without its other sections.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSection {
    pub(super) credentials: RawFile,
}

/// A file of `dynamic_services`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServiceFile {
    pub(super) services: BTreeMap<String, Service>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    pub(super) host: Option<Parsed<ListenHost>>,
    pub(super) port: Option<Parsed<u16>>,
    pub(super) allow_any_address: Option<bool>,
    pub(super) socket: Option<Parsed<PathText>>,
    pub(super) debug: Option<bool>,
    pub(super) log_health_checks: Option<bool>,
}

/// In seconds.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Times {
    pub(super) refresh_buffer_seconds: Option<Parsed<u64>>,
    pub(super) retry_delay: Option<Parsed<u64>>,
    pub(super) request_timeout: Option<Parsed<u64>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Source {
    pub(super) region: Option<Parsed<RegionName>>,
    pub(super) iam_profile: Option<Profile>,
    pub(super) iam_keys: Option<Keys>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) profile_name: Parsed<ProfileName>,
    #[serde(default)]
    pub(super) config_file: Option<Parsed<PathText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) aws_access_key_id: Parsed<AccessKey>,
    pub(super) aws_secret_access_key: Parsed<AccessKey>,
    #[serde(default)]
    pub(super) session_token: Option<Parsed<AccessKey>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) auth_token: Parsed<Token>,
    #[serde(default)]
    pub(super) source_credentials: Source,
    pub(super) assumed_role: Role,
}

/// The parameters of `sts:AssumeRole`, with the names of its API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "the names of the API")]
pub(super) struct Role {
    pub(super) role_arn: Parsed<RoleArn>,
    #[serde(default)]
    pub(super) role_session_name: Option<Parsed<SessionName>>,
    #[serde(default)]
    pub(super) duration_seconds: Option<Parsed<u64>>,
    #[serde(default)]
    pub(super) external_id: Option<Parsed<ExternalId>>,
    #[serde(default)]
    pub(super) policy: Option<Parsed<PolicyDocument>>,
    #[serde(default)]
    pub(super) policy_arns: Vec<PolicyArn>,
    #[serde(default)]
    pub(super) source_identity: Option<Parsed<SessionName>>,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
    #[serde(default)]
    pub(super) transitive_tag_keys: Vec<String>,
    #[serde(default)]
    pub(super) serial_number: Option<String>,
    #[serde(default)]
    pub(super) token_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) value: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Dynamic {
    pub(super) enabled: Option<bool>,
    pub(super) directories: Vec<Directory>,
    pub(super) reload_interval: Option<Parsed<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Directory {
    pub(super) path: Parsed<PathText>,
    #[serde(default)]
    pub(super) include_patterns: Vec<String>,
    #[serde(default)]
    pub(super) exclude_patterns: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Metrics {
    pub(super) prometheus: Prometheus,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Prometheus {
    pub(super) enabled: Option<bool>,
    pub(super) host: Option<Parsed<ListenHost>>,
    pub(super) port: Option<Parsed<u16>>,
}

//! Services: their names, tokens and roles.

use std::collections::BTreeMap;
use std::time::Duration;

use super::raw::{self, Role};
use super::source::Named;
use super::token;
use crate::config::Remark;
use crate::config::environment::Environment;
use crate::config::key_error::{KeyError, quoted};
use crate::config::key_path::KeyPath;
use crate::services::{AssumedRole, Service, SessionTag, SourceCredentials};

const DEFAULT_SESSION_NAME: &str = "credproxy";

/// The bounds of `DurationSeconds`; the first is the default, as in CredProxy.
const MIN_DURATION: u64 = 900;
const MAX_DURATION: u64 = 43_200;

/// The limits of the API.
const MAX_POLICY_ARNS: usize = 10;
const MAX_TAGS: usize = 50;

/// Resolves the section `services` at `path`, by name.
pub(super) struct Resolver<'a> {
    pub(super) path: &'a KeyPath,
    pub(super) defaults: &'a SourceCredentials,
    pub(super) environment: &'a Environment,
    pub(super) remarks: &'a mut Vec<Remark>,
}

impl Resolver<'_> {
    /// The services. Two with the same token are an error: the token must name one of them.
    pub(super) fn resolve(
        &mut self,
        services: BTreeMap<String, raw::Service>,
    ) -> Result<Vec<Service>, KeyError> {
        let mut resolved: Vec<Service> = Vec::new();
        for (name, raw) in services {
            let path = self.path.key(&name);
            let service = self.service(name, &path, raw)?;
            if let Some(first) = resolved.iter().find(|known| known.token == service.token) {
                let reason = format!("is the token of the service `{}` too; give each its own", first.name);
                return Err(KeyError::refused(path.key("auth_token"), "this token".into(), reason));
            }
            resolved.push(service);
        }
        Ok(resolved)
    }

    fn service(&mut self, name: String, path: &KeyPath, raw: raw::Service) -> Result<Service, KeyError> {
        let part_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if name.is_empty() || !name.bytes().all(part_of_name) {
            let reason = "a service has a name of letters, digits, `-` and `_`";
            return Err(KeyError::of_key(path.clone(), reason));
        }
        let token = raw.auth_token.0.0;
        if let Some(text) = token::remark(token.expose()) {
            self.remarks.push(Remark { key: path.key("auth_token").to_string(), text });
        }
        let source_path = path.key("source_credentials");
        let source = Named::read(raw.source_credentials, &source_path, self.environment, self.remarks)?;
        let role = role(raw.assumed_role, &path.key("assumed_role"))?;
        Ok(Service { name, token, source: source.or(self.defaults), role })
    }
}

fn role(raw: Role, path: &KeyPath) -> Result<AssumedRole, KeyError> {
    for (key, value) in [("SerialNumber", &raw.serial_number), ("TokenCode", &raw.token_code)] {
        if value.is_some() {
            let reason = "a code of a second factor works once, and credentials are renewed without anybody to type the \
                          next one; let the source credentials come from a profile that has used the second factor";
            return Err(KeyError::of_key(path.key(key), reason));
        }
    }
    if raw.policy_arns.len() > MAX_POLICY_ARNS {
        return Err(KeyError::of_key(path.key("PolicyArns"), "STS takes at most 10 managed policies"));
    }
    if raw.tags.len() > MAX_TAGS {
        return Err(KeyError::of_key(path.key("Tags"), "STS takes at most 50 tags"));
    }
    let seconds = raw.duration_seconds.map_or(MIN_DURATION, |seconds| seconds.0);
    if !(MIN_DURATION..=MAX_DURATION).contains(&seconds) {
        let reason = format!("is not from {MIN_DURATION} to {MAX_DURATION} seconds");
        let value = quoted(&seconds.to_string());
        return Err(KeyError::refused(path.key("DurationSeconds"), value, reason));
    }
    let session_name = raw.role_session_name.map(|name| name.0.0);
    Ok(AssumedRole {
        arn: raw.role_arn.0.0,
        session_name: session_name.unwrap_or_else(|| DEFAULT_SESSION_NAME.to_owned()),
        duration: Duration::from_secs(seconds),
        external_id: raw.external_id.map(|id| id.0.0),
        policy: raw.policy.map(|policy| policy.0.0),
        policy_arns: raw.policy_arns.into_iter().map(|arn| arn.0).collect(),
        source_identity: raw.source_identity.map(|identity| identity.0.0),
        tags: raw.tags.into_iter().map(|tag| SessionTag { key: tag.key, value: tag.value }).collect(),
        transitive_tag_keys: raw.transitive_tag_keys,
    })
}

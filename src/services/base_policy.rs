//! The IAM policy for the identity that assumes the roles.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{AssumedRole, Service};

/// The version of the policy language (AWS IAM User Guide, "IAM JSON policy elements: Version").
const VERSION: &str = "2012-10-17";

/// Identity-based IAM policy. As JSON it has the order of the fields, and no duplicates.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BasePolicy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: &'static str,
    action: &'static str,
    /// Never empty: a statement needs a resource.
    resource: BTreeSet<String>,
}

impl BasePolicy {
    /// What the source credentials of these services need, and nothing else: the roles of the services, by ARN. Session tags and
    /// a source identity need an action each
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>,
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html>).
    #[must_use]
    pub fn of(services: &[Service]) -> Self {
        let needs_tags = |role: &AssumedRole| !role.tags.is_empty() || !role.transitive_tag_keys.is_empty();
        let statements = [
            Statement::allow("sts:AssumeRole", services, |_| true),
            Statement::allow("sts:TagSession", services, needs_tags),
            Statement::allow("sts:SetSourceIdentity", services, |role| role.source_identity.is_some()),
        ];
        Self { version: VERSION, statement: statements.into_iter().flatten().collect() }
    }
}

impl Statement {
    /// The statement for the roles that need the action. Absent where none does.
    fn allow(
        action: &'static str,
        services: &[Service],
        is_needed: impl Fn(&AssumedRole) -> bool,
    ) -> Option<Self> {
        let roles = services.iter().map(|service| &service.role).filter(|role| is_needed(role));
        let resource: BTreeSet<_> = roles.map(|role| literal(&role.arn)).collect();
        (!resource.is_empty()).then_some(Self { effect: "Allow", action, resource })
    }
}

/// The ARN as a pattern that fits this ARN only. The path of a role may have characters that are special in a policy
/// (AWS IAM User Guide, "IAM policy elements: Variables and tags", "Specifying default values").
fn literal(arn: &str) -> String {
    let escaped = |character: char| match character {
        '*' | '?' | '$' => format!("${{{character}}}"),
        other => other.to_string(),
    };
    arn.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::services::SessionTag;

    fn service(arn: &str) -> Service {
        Service::for_test(arn, Duration::from_mins(15))
    }

    fn policy(services: &[Service]) -> serde_json::Value {
        serde_json::to_value(BasePolicy::of(services)).unwrap()
    }

    #[test]
    fn roles_are_sorted_and_named_once() {
        let services = ["b", "a", "b"].map(service);
        let statement = json!([{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ["a", "b"]}]);
        assert_eq!(policy(&services), json!({"Version": "2012-10-17", "Statement": statement}));
    }

    #[test]
    fn tags_and_source_identities_need_their_actions_for_their_roles_only() {
        let [mut tagged, mut transitive, mut identified] =
            ["tagged", "transitive", "identified"].map(service);
        tagged.role.tags = vec![SessionTag { key: "team".into(), value: "web".into() }];
        transitive.role.transitive_tag_keys = vec!["team".into()];
        identified.role.source_identity = Some("alice".into());
        let found = policy(&[service("plain"), tagged, transitive, identified]);
        let resources = |action: &str| {
            let statements = found["Statement"].as_array().unwrap();
            statements.iter().find(|statement| statement["Action"] == action).unwrap()["Resource"].clone()
        };
        assert_eq!(resources("sts:AssumeRole").as_array().unwrap().len(), 4);
        assert_eq!(resources("sts:TagSession"), json!(["tagged", "transitive"]));
        assert_eq!(resources("sts:SetSourceIdentity"), json!(["identified"]));
    }

    #[test]
    fn a_role_with_a_special_character_is_no_pattern() {
        assert_eq!(literal("arn:aws:iam::1:role/a*b?c$d/e"), "arn:aws:iam::1:role/a${*}b${?}c${$}d/e");
    }
}

//! The calls of the IAM API that the fake AWS endpoint answers (AWS Identity and Access Management API Reference, 2010-05-08).

use std::collections::HashMap;

use super::identity::AccessKey;
use super::rds_api::{element, wrap};
use super::sts::{Refused, Role};

/// The result of `SimulatePrincipalPolicy` for the owner of this key, whose policies allow logins or not.
pub fn simulate(roles: &[Role], key: &AccessKey, form: &HashMap<String, String>) -> Result<String, Refused> {
    let parameter = |name: &str| form.get(name).map_or("", String::as_str);
    let source = parameter("PolicySourceArn");
    if source != principal(roles, key) {
        return Err(("NoSuchEntity", format!("{source} does not exist")));
    }
    let (action, resource) = (parameter("ActionNames.member.1"), parameter("ResourceArns.member.1"));
    let is_login = action == "rds-db:connect" && resource.contains(":dbuser:");
    let decision = if is_login && key.may_connect { "allowed" } else { "implicitDeny" };
    let result = element("EvalActionName", action)
        + &element("EvalDecision", decision)
        + &element("EvalResourceName", resource)
        + "<MissingContextValues/>";
    Ok(element("IsTruncated", "false") + &wrap("EvaluationResults", &wrap("member", &result)))
}

/// The result of `GetRole`.
pub fn role(roles: &[Role], form: &HashMap<String, String>) -> Result<String, Refused> {
    let name = form.get("RoleName").map_or("", String::as_str);
    let found = roles.iter().find(|role| role.name() == name);
    let found = found.ok_or_else(|| ("NoSuchEntity", format!("{name} cannot be found")))?;
    Ok(wrap("Role", &(element("RoleName", name) + &element("Arn", &found.arn))))
}

/// The user or role with the policies.
fn principal(roles: &[Role], key: &AccessKey) -> String {
    let owner = key.owner();
    let Some((account, session)) = owner.split_once(":assumed-role/") else { return owner };
    let name = session.split('/').next().unwrap();
    let known = roles.iter().find(|role| role.name() == name).map(|role| role.arn.clone());
    known.unwrap_or_else(|| format!("{}:role/{name}", account.replace(":sts:", ":iam:")))
}

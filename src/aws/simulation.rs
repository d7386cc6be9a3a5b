//! Whether the IAM policies of an identity allow a login, by policy simulation.
//!
//! Source: AWS Identity and Access Management API Reference, `SimulatePrincipalPolicy`.

use super::iam_api::{IamApi, NoResult, element};
use super::{Accounts, Aws};
use crate::catalog::{Iam, LoginPermission};

/// What the simulation returned.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// The policies allow it.
    Allowed,
    /// A statement denies it.
    Denied,
    /// No statement allows it.
    NotAllowed,
    /// The result depends on conditions, whose values a simulation does not have: their keys.
    Conditional(Vec<String>),
}

impl Accounts {
    /// Simulates the policies of the identity that signs tokens for this database. The error is the reason why that is not possible
    /// here, for the end of a sentence. A simulation has no session policies, so a login may be refused that it allows.
    ///
    /// # Errors
    /// There are no credentials, STS does not return whose they are, or IAM does not let them simulate.
    pub async fn simulate(&self, iam: &Iam, permission: &LoginPermission) -> Result<Decision, String> {
        let account = self.of(iam).ok_or("the account is not in the configuration")?;
        account.simulate(permission).await
    }
}

impl Aws {
    async fn simulate(&self, permission: &LoginPermission) -> Result<Decision, String> {
        let credentials = self.chain.current().await.map_err(|error| error.to_string())?;
        let arn = self.identities.look_up(&credentials).await.ok_or("STS did not return the identity")?;
        let principal = Principal::of(&arn).ok_or("IAM simulates the policies of users and roles only")?;
        let partition = arn.split(':').nth(1).unwrap_or_default();
        let api = IamApi::new(&self.config, credentials, partition)
            .ok_or_else(|| format!("the endpoint of IAM in the partition {partition} is not known"))?;
        match simulate(&api, &principal.arn, permission).await {
            // An assumed role does not show its path.
            Err(error) if error.code == "NoSuchEntity" && principal.role.is_some() => {
                let name = principal.role.as_deref().unwrap_or_default();
                let role = api.call("GetRole", &[("RoleName", name)]).await;
                let role = role.map_err(|error| refused("iam:GetRole", &error))?;
                let arn = element(&role, "Arn").ok_or("IAM returned no ARN of the role")?;
                simulate(&api, arn, permission).await
            }
            other => other,
        }
        .map_err(|error| refused("iam:SimulatePrincipalPolicy", &error))
    }
}

/// An identity with policies.
struct Principal {
    /// Its ARN; that of a role is without its path.
    arn: String,
    /// The name, of a role.
    role: Option<String>,
}

impl Principal {
    /// That of `arn:PARTITION:iam::ACCOUNT:user/…` and `arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION` (IAM User Guide,
    /// "IAM identifiers").
    fn of(arn: &str) -> Option<Self> {
        let [_, partition, service, _, account, resource] = *arn.splitn(6, ':').collect::<Vec<_>>() else {
            return None;
        };
        match (service, resource.split_once('/')?) {
            ("iam", ("user", _)) => Some(Self { arn: arn.to_owned(), role: None }),
            ("sts", ("assumed-role", path)) => {
                let (name, _) = path.split_once('/')?;
                let arn = format!("arn:{partition}:iam::{account}:role/{name}");
                Some(Self { arn, role: Some(name.to_owned()) })
            }
            _ => None,
        }
    }
}

async fn simulate(api: &IamApi<'_>, arn: &str, permission: &LoginPermission) -> Result<Decision, NoResult> {
    let LoginPermission { action, resource } = permission;
    let parameters = [
        ("PolicySourceArn", arn),
        ("ActionNames.member.1", action.as_str()),
        ("ResourceArns.member.1", resource.as_str()),
    ];
    let xml = api.call("SimulatePrincipalPolicy", &parameters).await?;
    decision(&xml)
        .ok_or_else(|| NoResult { code: String::new(), detail: "an answer without a decision".into() })
}

fn decision(xml: &str) -> Option<Decision> {
    let decision = element(xml, "EvalDecision")?;
    if decision == "allowed" {
        return Some(Decision::Allowed);
    }
    let missing = element(xml, "MissingContextValues").unwrap_or_default();
    let keys: Vec<_> = missing.split("<member>").filter_map(|key| key.split_once("</member>")).collect();
    if !keys.is_empty() {
        return Some(Decision::Conditional(keys.iter().map(|(key, _)| (*key).to_owned()).collect()));
    }
    match decision {
        "explicitDeny" => Some(Decision::Denied),
        "implicitDeny" => Some(Decision::NotAllowed),
        _ => None,
    }
}

/// A denied simulation says nothing about the login, so it is no error.
fn refused(action: &str, error: &NoResult) -> String {
    match error.code.as_str() {
        "AccessDenied" | "AccessDeniedException" => format!("the AWS identity may not call {action}"),
        _ => format!("{action} failed: {}", error.detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_roles_have_policies() {
        let of = |arn| Principal::of(arn).map(|principal| (principal.arn, principal.role));
        let user = "arn:aws:iam::123456789012:user/division/alice";
        assert_eq!(of(user), Some((user.to_owned(), None)));
        let role = "arn:aws-cn:iam::123456789012:role/dba".to_owned();
        assert_eq!(
            of("arn:aws-cn:sts::123456789012:assumed-role/dba/alice"),
            Some((role, Some("dba".to_owned())))
        );
        for arn in [
            "arn:aws:iam::123456789012:root",
            "arn:aws:sts::123456789012:federated-user/alice",
            "arn:aws:sts::123456789012:assumed-role/dba",
            "arn",
        ] {
            assert_eq!(of(arn), None, "{arn}");
        }
    }

    #[test]
    fn a_decision_with_missing_values_is_conditional() {
        let xml = |decision: &str, missing: &str| {
            format!(
                "<EvaluationResults><member><MissingContextValues>{missing}</MissingContextValues>\
                 <EvalDecision>{decision}</EvalDecision></member></EvaluationResults>"
            )
        };
        let key = "<member>aws:SourceIp</member>";
        assert_eq!(decision(&xml("allowed", key)), Some(Decision::Allowed));
        assert_eq!(decision(&xml("implicitDeny", "")), Some(Decision::NotAllowed));
        assert_eq!(decision(&xml("explicitDeny", "")), Some(Decision::Denied));
        assert_eq!(
            decision(&xml("explicitDeny", key)),
            Some(Decision::Conditional(vec!["aws:SourceIp".to_owned()]))
        );
        for text in ["", "<EvalDecision>", "<EvalDecision>maybe</EvalDecision>"] {
            assert_eq!(decision(text), None, "{text}");
        }
    }
}

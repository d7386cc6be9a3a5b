//! The IAM policies for a login.

use super::check::Finding;
use crate::aws::{Accounts, Decision};
use crate::catalog::{Directory, LoginPermission, Target};

/// Whether the IAM policies allow this user's login, by their simulation. Most identities may not simulate them, which costs the
/// check and nothing else: the login shows the same.
pub(super) async fn login(
    target: &Target,
    user: Option<&str>,
    aws: Option<&Accounts>,
    directory: Option<&Directory>,
) -> Finding<()> {
    let Some(iam) = &target.iam else {
        return Finding::skipped("the target has no IAM authentication");
    };
    let Some(user) = user else { return Finding::skipped("name the database user with --user") };
    let (Some(aws), Some(directory)) = (aws, directory) else {
        return Finding::skipped("it needs the check discovery");
    };
    let described = directory.described();
    let resource = described
        .iter()
        .filter(|described| described.target.address == target.address)
        .find_map(|described| described.resource.as_ref()?.login_permission(iam.service, user));
    let Some(permission) = resource else {
        return Finding::skipped("RDS did not return the resource id of the database");
    };
    match aws.simulate(iam, &permission).await {
        Ok(decision) => finding(&decision, &permission),
        Err(reason) => Finding::skipped(format_args!("the policies cannot be simulated: {reason}")),
    }
}

fn finding(decision: &Decision, permission: &LoginPermission) -> Finding<()> {
    let LoginPermission { action, resource } = permission;
    match decision {
        Decision::Allowed => {
            let name = resource.rsplit(':').next().unwrap_or_default();
            Finding::ok(format_args!("IAM allows {action} on {name}"), ())
        }
        Decision::Conditional(keys) => Finding::warning(
            format_args!("whether IAM allows {action} depends on conditions: {}", keys.join(", ")),
            Some(format!("if the login fails, check the conditions of the policies for {resource}")),
            (),
        ),
        Decision::Denied => Finding::failed(
            format_args!("a statement of the IAM policies denies {action} on {resource}"),
            Some(
                "remove it from the policies, the permissions boundary or the service control policies"
                    .into(),
            ),
        ),
        Decision::NotAllowed => Finding::failed(
            format_args!("no IAM policy allows {action}"),
            Some(format!("add a policy to the identity that allows {action} on {resource}")),
        ),
    }
}

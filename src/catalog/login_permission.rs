//! The permission for a login.

use super::{IamService, Resource, dsql_action};

/// What an IAM policy has to allow for a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginPermission {
    /// The action, such as `rds-db:connect`.
    pub action: String,
    /// The ARN of its resource.
    pub resource: String,
}

impl Resource {
    /// The permission to log in as this database user with a token for this service. Absent where the ARN is not known.
    ///
    /// Sources: Amazon RDS User Guide, "Creating and using an IAM policy for IAM database access"; Amazon Aurora DSQL User Guide,
    /// "Authentication and authorization".
    #[must_use]
    pub fn login_permission(&self, service: IamService, user: &str) -> Option<LoginPermission> {
        let arn = self.login_arn.as_deref()?;
        Some(match service {
            IamService::Rds => {
                LoginPermission { action: "rds-db:connect".into(), resource: format!("{arn}/{user}") }
            }
            IamService::Dsql => {
                LoginPermission { action: format!("dsql:{}", dsql_action(user)), resource: arn.to_owned() }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_to_log_in_names_the_user_or_has_an_action_for_it() {
        let resource = Resource { login_arn: Some("arn:x".into()), ..Resource::default() };
        let permission = |service, user| {
            let LoginPermission { action, resource } = resource.login_permission(service, user).unwrap();
            format!("{action} {resource}")
        };
        assert_eq!(permission(IamService::Rds, "alice"), "rds-db:connect arn:x/alice");
        assert_eq!(permission(IamService::Dsql, "alice"), "dsql:DbConnect arn:x");
        assert_eq!(permission(IamService::Dsql, "admin"), "dsql:DbConnectAdmin arn:x");
        assert_eq!(Resource::default().login_permission(IamService::Rds, "alice"), None);
    }
}

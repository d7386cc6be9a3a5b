//! Kind, engine, version, account and login ARN of databases in RDS.

use aws_sdk_rds::types::{DbCluster, DbInstance};

use crate::catalog::{EndpointKind, Resource};

/// An instance. Policies for a member of a cluster name the cluster, which is absent where it cannot be queried.
pub(super) fn of_instance(instance: &DbInstance, cluster: Option<&DbCluster>) -> Resource {
    let id = match (instance.db_cluster_identifier(), cluster) {
        (None, _) => instance.dbi_resource_id(),
        (Some(_), cluster) => cluster.and_then(DbCluster::db_cluster_resource_id),
    };
    Resource {
        kind: EndpointKind::Instance,
        engine: instance.engine().map(str::to_owned),
        version: instance.engine_version().map(str::to_owned),
        account: account(instance.db_instance_arn()),
        login_arn: login_arn(instance.db_instance_arn(), id),
    }
}

/// An endpoint of a cluster.
pub(super) fn of_cluster(cluster: &DbCluster, kind: EndpointKind) -> Resource {
    Resource {
        kind,
        engine: cluster.engine().map(str::to_owned),
        version: cluster.engine_version().map(str::to_owned),
        account: account(cluster.db_cluster_arn()),
        login_arn: login_arn(cluster.db_cluster_arn(), cluster.db_cluster_resource_id()),
    }
}

/// An endpoint of an RDS Proxy with this ARN. An engine family is in upper case in the API.
pub(super) fn of_proxy(arn: Option<&str>, family: Option<&str>) -> Resource {
    Resource {
        kind: EndpointKind::Proxy,
        engine: family.map(str::to_lowercase),
        version: None,
        account: account(arn),
        login_arn: login_arn(arn, arn.and_then(|arn| arn.rsplit(':').next())),
    }
}

/// A cluster of Aurora DSQL with this ARN.
pub(super) fn of_dsql(arn: &str) -> Resource {
    Resource {
        kind: EndpointKind::Dsql,
        engine: Some("aurora-dsql".to_owned()),
        version: None,
        account: account(Some(arn)),
        login_arn: Some(arn.to_owned()),
    }
}

/// The account in an ARN: `arn:PARTITION:SERVICE:REGION:ACCOUNT:…`.
fn account(arn: Option<&str>) -> Option<String> {
    let account = arn?.split(':').nth(4)?;
    let is_number = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| account.to_owned())
}

/// The ARN in policies for logins at a database with this ARN and resource id, without the database user
/// (`arn:PARTITION:rds-db:REGION:ACCOUNT:dbuser:ID/USER`; Amazon RDS User Guide, "Creating and using an IAM policy for IAM
/// database access").
fn login_arn(arn: Option<&str>, id: Option<&str>) -> Option<String> {
    let id = id.filter(|id| !id.is_empty())?;
    let [_, partition, _, region, account, _] = *arn?.splitn(6, ':').collect::<Vec<_>>() else { return None };
    Some(format!("arn:{partition}:rds-db:{region}:{account}:dbuser:{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_the_number_in_the_arn() {
        for (arn, expected) in [
            ("arn:aws:rds:eu-west-1:123456789012:db:orders", Some("123456789012")),
            ("arn:aws-cn:rds:cn-north-1:123456789012:cluster:orders", Some("123456789012")),
            ("arn:aws:rds:eu-west-1::db:orders", None),
            ("arn:aws:rds:eu-west-1:me:db:orders", None),
            ("orders", None),
        ] {
            assert_eq!(account(Some(arn)).as_deref(), expected, "{arn}");
        }
        assert_eq!(account(None), None);
    }

    #[test]
    fn the_login_arn_has_the_resource_id() {
        let arn = |text, id| login_arn(Some(text), Some(id));
        let expected = "arn:aws-cn:rds-db:cn-north-1:123456789012:dbuser:db-ABC";
        assert_eq!(
            arn("arn:aws-cn:rds:cn-north-1:123456789012:db:orders", "db-ABC").as_deref(),
            Some(expected)
        );
        assert_eq!(arn("arn:aws:rds:eu-west-1:123456789012:db:orders", ""), None);
        assert_eq!(arn("orders", "db-ABC"), None);
        let proxy = "arn:aws:rds:eu-west-1:123456789012:db-proxy:prx-ABC";
        let expected = "arn:aws:rds-db:eu-west-1:123456789012:dbuser:prx-ABC";
        assert_eq!(of_proxy(Some(proxy), None).login_arn.as_deref(), Some(expected));
    }
}

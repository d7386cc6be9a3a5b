//! Kind, engine, version and account of databases in RDS.

use aws_sdk_rds::types::{DbCluster, DbInstance};

use crate::catalog::{EndpointKind, Resource};

/// An instance.
pub(super) fn of_instance(instance: &DbInstance) -> Resource {
    Resource {
        kind: EndpointKind::Instance,
        engine: instance.engine().map(str::to_owned),
        version: instance.engine_version().map(str::to_owned),
        account: account(instance.db_instance_arn()),
    }
}

/// An endpoint of a cluster.
pub(super) fn of_cluster(cluster: &DbCluster, kind: EndpointKind) -> Resource {
    Resource {
        kind,
        engine: cluster.engine().map(str::to_owned),
        version: cluster.engine_version().map(str::to_owned),
        account: account(cluster.db_cluster_arn()),
    }
}

/// An endpoint of an RDS Proxy with this ARN. An engine family is in upper case in the API.
pub(super) fn of_proxy(arn: Option<&str>, family: Option<&str>) -> Resource {
    Resource {
        kind: EndpointKind::Proxy,
        engine: family.map(str::to_lowercase),
        version: None,
        account: account(arn),
    }
}

/// A cluster of Aurora DSQL with this ARN.
pub(super) fn of_dsql(arn: &str) -> Resource {
    Resource {
        kind: EndpointKind::Dsql,
        engine: Some("aurora-dsql".to_owned()),
        version: None,
        account: account(Some(arn)),
    }
}

/// The account in an ARN: `arn:PARTITION:SERVICE:REGION:ACCOUNT:…`.
fn account(arn: Option<&str>) -> Option<String> {
    let account = arn?.split(':').nth(4)?;
    let is_number = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| account.to_owned())
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
}

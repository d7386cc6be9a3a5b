//! DB instances, members of clusters included.

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::DbInstance;

use super::clusters::Clusters;
use super::endpoint::{address, region_of};
use super::rds_api::{PAGE, Page, all, engines, explain};
use super::skipped::Remark;
use super::tags::{database, local_port, tags};
use crate::aws::credentials::Origin;
use crate::catalog::Discovered;

/// All Postgres instances that the credentials may see.
pub(super) async fn list(client: &Client, origin: &Origin) -> Result<Vec<DbInstance>, String> {
    all(|marker| async {
        let engines = engines();
        let request = client.describe_db_instances().filters(engines).max_records(PAGE).set_marker(marker);
        let answer =
            request.send().await.map_err(|error| explain("rds:DescribeDBInstances", origin, &error))?;
        Ok(Page { entries: answer.db_instances.unwrap_or_default(), next: answer.marker })
    })
    .await
}

/// What can be connected to; the rest goes to `remarks`.
pub(super) fn usable(
    instances: &[DbInstance],
    clusters: &Clusters,
    region: &str,
    remarks: &mut BTreeMap<String, Remark>,
) -> Vec<Discovered> {
    let mut found = Vec::new();
    for instance in instances {
        let name = instance.db_instance_identifier().unwrap_or_default();
        match describe(instance, clusters, region, remarks) {
            Ok(database) => found.push(database),
            Err(remark) => {
                remarks.insert(name.to_owned(), remark);
            }
        }
    }
    found
}

fn describe(
    instance: &DbInstance,
    clusters: &Clusters,
    region: &str,
    remarks: &mut BTreeMap<String, Remark>,
) -> Result<Discovered, Remark> {
    let name = instance.db_instance_identifier().filter(|name| !name.is_empty());
    let name = name.ok_or(Remark::Incomplete("identifier"))?;
    let endpoint = instance.endpoint().ok_or(Remark::NoEndpoint)?;
    let address = address(endpoint.address(), endpoint.port())?;
    // In a cluster the switch is the cluster's, and the instance may report it late or not at all.
    let of_cluster = instance.db_cluster_identifier().and_then(|cluster| clusters.iam(cluster));
    if !of_cluster.or(instance.iam_database_authentication_enabled()).unwrap_or(false) {
        return Err(Remark::IamOff);
    }
    let tags = tags(instance.tag_list());
    Ok(Discovered {
        name: name.to_owned(),
        address,
        region: region_of(instance.db_instance_arn(), region)?,
        database: database(&tags, instance.db_name()),
        local_port: local_port(name, &tags, remarks),
        tags,
    })
}

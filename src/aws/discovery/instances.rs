//! DB instances, members of clusters included.

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::DbInstance;

use super::call_error::CallError;
use super::clusters::{Clusters, has_iam};
use super::endpoint::{Origin, address, region_of};
use super::rds_api::{PAGE_SIZE, Page, all_pages, engines};
use super::related;
use super::resource;
use super::skipped::Remark;
use super::tags::{database, guard_rails, local_port, tags};
use crate::aws::credentials::CredentialSource;
use crate::catalog::{Discovered, IamService};
use crate::tls::Roots;

/// All Postgres instances that the AWS identity may list.
pub(super) async fn list(client: &Client, source: &CredentialSource) -> Result<Vec<DbInstance>, CallError> {
    all_pages(|marker| async {
        let request =
            client.describe_db_instances().filters(engines()).max_records(PAGE_SIZE).set_marker(marker);
        let failed = |error| CallError::new("rds:DescribeDBInstances", source, &error);
        let response = request.send().await.map_err(failed)?;
        Ok(Page { entries: response.db_instances.unwrap_or_default(), next: response.marker })
    })
    .await
}

/// The instances that accept IAM tokens. Adds a remark for each of the others.
pub(super) fn usable(
    instances: &[DbInstance],
    clusters: &Clusters,
    origin: Origin<'_>,
    remarks: &mut BTreeMap<String, Remark>,
) -> Vec<Discovered> {
    let mut found = Vec::new();
    for instance in instances {
        let name = instance.db_instance_identifier().unwrap_or_default();
        match describe(instance, clusters, origin, remarks) {
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
    origin: Origin<'_>,
    remarks: &mut BTreeMap<String, Remark>,
) -> Result<Discovered, Remark> {
    let name = instance.db_instance_identifier().filter(|name| !name.is_empty());
    let name = name.ok_or(Remark::Incomplete("identifier"))?;
    let endpoint = instance.endpoint().ok_or(Remark::NoEndpoint)?;
    let address = address(endpoint.address(), endpoint.port())?;
    let cluster = instance.db_cluster_identifier().and_then(|cluster| clusters.find(cluster));
    let has_iam = match cluster {
        // The cluster decides for its members, and a member may report it late or not at all.
        Some(cluster) => has_iam(cluster),
        // The cluster cannot be queried: the database decides.
        None if instance.db_cluster_identifier().is_some() && !clusters.are_current() => true,
        None => instance.iam_database_authentication_enabled().unwrap_or(false),
    };
    if !has_iam {
        return Err(Remark::IamOff);
    }
    let tags = tags(instance.tag_list());
    let region = region_of(instance.db_instance_arn(), origin.region)?;
    Ok(Discovered {
        name: name.to_owned(),
        identifier: None,
        address,
        resource: resource::of_instance(instance, cluster),
        service: IamService::Rds,
        account: None,
        roots: Roots::Rds { region: region.clone() },
        region,
        database: database(&tags, instance.db_name()),
        local_port: local_port(name, &tags, remarks),
        guard_rails: guard_rails(name, &tags, remarks),
        tags,
        related: cluster.map(related::of_cluster).into_iter().collect(),
        listed_at: origin.listed_at,
    })
}

//! DB instances, members of clusters included.

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbInstance, Filter};

use super::answer::explain;
use super::clusters::Clusters;
use super::origin::Origin;
use super::pages::{PAGE, Page, all};
use super::skipped::Remark;
use super::tags::{database, local_port, tags};
use crate::catalog::Discovered;
use crate::net::HostPort;

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

/// The engines that speak the protocol of Postgres and know IAM authentication.
pub(super) fn engines() -> Filter {
    Filter::builder().name("engine").values("postgres").values("aurora-postgresql").build()
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

/// An endpoint as RDS writes it; one that is being created lacks its address.
pub(super) fn address(host: Option<&str>, port: Option<i32>) -> Result<HostPort, Remark> {
    let host = host.filter(|host| !host.is_empty()).ok_or(Remark::NoEndpoint)?;
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    // Parsed as an address of the configuration would be: a host name with odd characters must not get further.
    let text = format!("{host}:{}", port.ok_or(Remark::Incomplete("port"))?);
    text.parse().map_err(|_| Remark::Incomplete("endpoint"))
}

/// The region that was asked. The one in `arn:PARTITION:rds:REGION:ACCOUNT:…` has to be the same: tokens are signed for
/// it, so an answer must not choose it.
pub(super) fn region_of(arn: Option<&str>, asked: &str) -> Result<String, Remark> {
    match arn.and_then(|arn| arn.split(':').nth(3)).filter(|region| !region.is_empty()) {
        Some(other) if other != asked => Err(Remark::OtherRegion(other.to_owned())),
        _ => Ok(asked.to_owned()),
    }
}

//! The endpoints of Aurora clusters and Multi-AZ DB clusters.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbClusterEndpoint, DbInstance, Filter};

use super::endpoint::{Origin, address, region_of};
use super::rds_api::{PAGE_SIZE, Page, all_pages, engines, error_text};
use super::related;
use super::skipped::Remark;
use super::tags::{database, local_port, tags};
use crate::aws::credentials::CredentialSource;
use crate::catalog::{Discovered, Related};

/// The Postgres clusters of a region, with their custom endpoints.
pub(super) struct Clusters {
    clusters: Vec<DbCluster>,
    custom: Vec<DbClusterEndpoint>,
}

/// All Postgres clusters that the AWS identity may list. Only Aurora has custom endpoints, so they are queried only if
/// there is an Aurora cluster that accepts IAM tokens.
pub(super) async fn list(client: &Client, source: &CredentialSource) -> Result<Clusters, String> {
    let clusters = all_pages(|marker| async {
        let request =
            client.describe_db_clusters().filters(engines()).max_records(PAGE_SIZE).set_marker(marker);
        let response =
            request.send().await.map_err(|error| error_text("rds:DescribeDBClusters", source, &error))?;
        Ok(Page { entries: response.db_clusters.unwrap_or_default(), next: response.marker })
    })
    .await?;
    let any_aurora =
        clusters.iter().any(|cluster| cluster.engine() == Some("aurora-postgresql") && has_iam(cluster));
    let custom = if any_aurora { custom_endpoints(client, source).await? } else { Vec::new() };
    Ok(Clusters { clusters, custom })
}

async fn custom_endpoints(
    client: &Client,
    source: &CredentialSource,
) -> Result<Vec<DbClusterEndpoint>, String> {
    all_pages(|marker| async {
        let custom = Filter::builder().name("db-cluster-endpoint-type").values("custom").build();
        let request =
            client.describe_db_cluster_endpoints().filters(custom).max_records(PAGE_SIZE).set_marker(marker);
        let response = request
            .send()
            .await
            .map_err(|error| error_text("rds:DescribeDBClusterEndpoints", source, &error))?;
        Ok(Page { entries: response.db_cluster_endpoints.unwrap_or_default(), next: response.marker })
    })
    .await
}

/// One endpoint of a cluster.
struct Endpoint<'a> {
    name: String,
    host: Option<&'a str>,
    /// The instances that it can lead to.
    leads_to: Vec<Arc<Related>>,
}

impl Clusters {
    /// The cluster of this identifier; absent if it was not listed.
    pub(super) fn find(&self, id: &str) -> Option<&DbCluster> {
        self.clusters.iter().find(|known| known.db_cluster_identifier() == Some(id))
    }

    /// The endpoints that accept IAM tokens. Adds a remark for each of the others. `instances` are those of the region.
    pub(super) fn usable(
        &self,
        instances: &[DbInstance],
        origin: Origin<'_>,
        remarks: &mut BTreeMap<String, Remark>,
    ) -> Vec<Discovered> {
        let mut found = Vec::new();
        for cluster in &self.clusters {
            let id = cluster.db_cluster_identifier().unwrap_or_default();
            if let Some(remark) = unusable(cluster) {
                // The list has no entry for a cluster, so remarks about it go to its writer.
                remarks.insert(writer(id), remark);
                continue;
            }
            let members = related::members(cluster, instances);
            found.extend(usable_endpoints(cluster, self.endpoints(cluster, id, members), origin, remarks));
        }
        found
    }

    /// A cluster without reader instances has no reader endpoint, which needs no remark.
    fn endpoints<'a>(
        &'a self,
        cluster: &'a DbCluster,
        id: &str,
        members: Vec<Arc<Related>>,
    ) -> Vec<Endpoint<'a>> {
        let mut endpoints = Vec::new();
        // The request filters for custom endpoints. An API that ignores the filter would list the others twice.
        let custom = self.custom.iter().filter(|endpoint| {
            endpoint.db_cluster_identifier() == Some(id)
                && endpoint.endpoint_type().is_none_or(|kind| kind.eq_ignore_ascii_case("custom"))
        });
        for endpoint in custom {
            let Some(name) = endpoint.db_cluster_endpoint_identifier() else { continue };
            let leads_to = members.iter().filter(|member| related::leads_to(endpoint, member));
            let leads_to = leads_to.map(Arc::clone).collect();
            endpoints.push(Endpoint {
                name: format!("{id}:custom:{name}"),
                host: endpoint.endpoint(),
                leads_to,
            });
        }
        if let Some(reader) = cluster.reader_endpoint() {
            let name = format!("{id}:reader");
            endpoints.push(Endpoint { name, host: Some(reader), leads_to: members.clone() });
        }
        endpoints.push(Endpoint { name: writer(id), host: cluster.endpoint(), leads_to: members });
        endpoints
    }
}

fn usable_endpoints(
    cluster: &DbCluster,
    endpoints: Vec<Endpoint<'_>>,
    origin: Origin<'_>,
    remarks: &mut BTreeMap<String, Remark>,
) -> Vec<Discovered> {
    let writer = writer(cluster.db_cluster_identifier().unwrap_or_default());
    let local_port = local_port(&writer, &tags(cluster.tag_list()), remarks);
    let mut found = Vec::new();
    for endpoint in endpoints {
        let name = endpoint.name.clone();
        // Two listeners cannot share the local port.
        let local_port = local_port.filter(|_| name == writer);
        match describe(cluster, endpoint, origin) {
            Ok(database) => found.push(Discovered { local_port, ..database }),
            Err(remark) => {
                remarks.insert(name, remark);
            }
        }
    }
    found
}

/// One endpoint, with the port, tags and database of its cluster, and without a local port.
fn describe(cluster: &DbCluster, endpoint: Endpoint<'_>, origin: Origin<'_>) -> Result<Discovered, Remark> {
    let tags = tags(cluster.tag_list());
    Ok(Discovered {
        name: endpoint.name,
        address: address(endpoint.host, cluster.port())?,
        region: region_of(cluster.db_cluster_arn(), origin.region)?,
        database: database(&tags, cluster.database_name()),
        local_port: None,
        tags,
        related: endpoint.leads_to,
        listed_at: origin.listed_at,
    })
}

fn writer(id: &str) -> String {
    format!("{id}:writer")
}

/// Why a cluster as a whole cannot be used.
fn unusable(cluster: &DbCluster) -> Option<Remark> {
    if cluster.db_cluster_identifier().is_none_or(str::is_empty) {
        Some(Remark::Incomplete("identifier"))
    } else if has_iam(cluster) {
        None
    } else {
        Some(Remark::IamOff)
    }
}

/// Whether IAM authentication is on for the cluster and its members.
pub(super) fn has_iam(cluster: &DbCluster) -> bool {
    cluster.iam_database_authentication_enabled().unwrap_or(false)
}

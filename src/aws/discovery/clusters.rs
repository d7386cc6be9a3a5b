//! The endpoints of Aurora clusters and Multi-AZ DB clusters.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbClusterEndpoint, DbInstance, Filter};

use super::answer::{Answer, Unavailable};
use super::call_error::CallError;
use super::endpoint::{address, region_of};
use super::rds_api::{PAGE_SIZE, Page, all_pages, engines};
use super::related;
use super::resource;
use super::skipped::Remark;
use super::tags::{database, guard_rails, local_port, tags};
use crate::aws::credentials::CredentialSource;
use crate::catalog::{Discovered, EndpointKind, GuardRails, IamService, ListedAt, Related};
use crate::tls::Roots;

/// The Postgres clusters of a region, with their custom endpoints. An answer that is older than the others stands in for a
/// call that is refused, unknown or throttled now.
#[derive(Clone, Default)]
pub(super) struct Clusters {
    listed: Answer<DbCluster>,
    custom: Answer<DbClusterEndpoint>,
    /// Whether the clusters are those of the last listing.
    current: bool,
}

/// All Postgres clusters that the AWS identity may list. Only Aurora has custom endpoints, so they are queried only if
/// there is an Aurora cluster that accepts IAM tokens. The calls are optional: one that is refused, unknown or throttled
/// keeps its answer in `last`.
pub(super) async fn list(
    client: &Client,
    source: &CredentialSource,
    last: Clusters,
) -> Result<(Clusters, Vec<Unavailable>), CallError> {
    let (mut found, mut unavailable) = (last, Vec::new());
    found.current =
        found.listed.replace("rds:DescribeDBClusters", &mut unavailable, clusters(client, source)).await?;
    let mut clusters = found.listed.entries.iter();
    if clusters.any(|cluster| cluster.engine() == Some("aurora-postgresql") && has_iam(cluster)) {
        let listed = custom_endpoints(client, source);
        found.custom.replace("rds:DescribeDBClusterEndpoints", &mut unavailable, listed).await?;
    }
    Ok((found, unavailable))
}

async fn clusters(client: &Client, source: &CredentialSource) -> Result<Vec<DbCluster>, CallError> {
    all_pages(|marker| async {
        let request =
            client.describe_db_clusters().filters(engines()).max_records(PAGE_SIZE).set_marker(marker);
        let failed = |error| CallError::new("rds:DescribeDBClusters", source, &error);
        let response = request.send().await.map_err(failed)?;
        Ok(Page { entries: response.db_clusters.unwrap_or_default(), next: response.marker })
    })
    .await
}

async fn custom_endpoints(
    client: &Client,
    source: &CredentialSource,
) -> Result<Vec<DbClusterEndpoint>, CallError> {
    all_pages(|marker| async {
        let custom = Filter::builder().name("db-cluster-endpoint-type").values("custom").build();
        let request =
            client.describe_db_cluster_endpoints().filters(custom).max_records(PAGE_SIZE).set_marker(marker);
        let failed = |error| CallError::new("rds:DescribeDBClusterEndpoints", source, &error);
        let response = request.send().await.map_err(failed)?;
        Ok(Page { entries: response.db_cluster_endpoints.unwrap_or_default(), next: response.marker })
    })
    .await
}

/// One endpoint of a cluster.
struct Endpoint<'a> {
    name: String,
    kind: EndpointKind,
    host: Option<&'a str>,
    listed_at: ListedAt,
    /// The instances that it can lead to.
    leads_to: Vec<Arc<Related>>,
}

impl Clusters {
    /// The cluster of this identifier; absent if it was not listed.
    pub(super) fn find(&self, id: &str) -> Option<&DbCluster> {
        self.listed.entries.iter().find(|known| known.db_cluster_identifier() == Some(id))
    }

    /// Whether the last listing had all clusters.
    pub(super) fn are_current(&self) -> bool {
        self.current
    }

    /// The endpoints that accept IAM tokens. Adds a remark for each of the others. `instances` are those of the region.
    pub(super) fn usable(
        &self,
        instances: &[DbInstance],
        region: &str,
        remarks: &mut BTreeMap<String, Remark>,
    ) -> Vec<Discovered> {
        let mut found = Vec::new();
        for cluster in self.listed.entries.iter() {
            let id = cluster.db_cluster_identifier().unwrap_or_default();
            if let Some(remark) = unusable(cluster) {
                // The list has no entry for a cluster, so remarks about it go to its writer.
                remarks.insert(writer(id), remark);
                continue;
            }
            let members = related::members(cluster, instances);
            found.extend(usable_endpoints(cluster, self.endpoints(cluster, id, members), region, remarks));
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
        let listed_at = self.listed.listed_at;
        let mut endpoints = Vec::new();
        // The request filters for custom endpoints. An API that ignores the filter would list the others twice.
        let custom = self.custom.entries.iter().filter(|endpoint| {
            endpoint.db_cluster_identifier() == Some(id)
                && endpoint.endpoint_type().is_none_or(|kind| kind.eq_ignore_ascii_case("custom"))
        });
        for endpoint in custom {
            let Some(name) = endpoint.db_cluster_endpoint_identifier() else { continue };
            let leads_to = members.iter().filter(|member| related::leads_to(endpoint, member));
            endpoints.push(Endpoint {
                name: format!("{id}:custom:{name}"),
                kind: EndpointKind::Custom,
                host: endpoint.endpoint(),
                listed_at: listed_at.older(self.custom.listed_at),
                leads_to: leads_to.map(Arc::clone).collect(),
            });
        }
        if let Some(reader) = cluster.reader_endpoint() {
            let name = format!("{id}:reader");
            let (kind, leads_to) = (EndpointKind::Reader, members.clone());
            endpoints.push(Endpoint { name, kind, host: Some(reader), listed_at, leads_to });
        }
        endpoints.push(Endpoint {
            name: writer(id),
            kind: EndpointKind::Writer,
            host: cluster.endpoint(),
            listed_at,
            leads_to: members,
        });
        endpoints
    }
}

fn usable_endpoints(
    cluster: &DbCluster,
    endpoints: Vec<Endpoint<'_>>,
    region: &str,
    remarks: &mut BTreeMap<String, Remark>,
) -> Vec<Discovered> {
    let writer = writer(cluster.db_cluster_identifier().unwrap_or_default());
    let tags = tags(cluster.tag_list());
    let local_port = local_port(&writer, &tags, remarks);
    let guard_rails = guard_rails(&writer, &tags, remarks);
    let mut found = Vec::new();
    for endpoint in endpoints {
        let name = endpoint.name.clone();
        // Two listeners cannot share the local port.
        let local_port = local_port.filter(|_| name == writer);
        let guard_rails = guard_rails.clone();
        match describe(cluster, endpoint, region) {
            Ok(database) => found.push(Discovered { local_port, guard_rails, ..database }),
            Err(remark) => {
                remarks.insert(name, remark);
            }
        }
    }
    found
}

/// One endpoint, with the port, tags and database of its cluster, without a local port and guard rails.
fn describe(cluster: &DbCluster, endpoint: Endpoint<'_>, region: &str) -> Result<Discovered, Remark> {
    let tags = tags(cluster.tag_list());
    let region = region_of(cluster.db_cluster_arn(), region)?;
    Ok(Discovered {
        name: endpoint.name,
        identifier: None,
        service: IamService::Rds,
        account: None,
        address: address(endpoint.host, cluster.port())?,
        resource: resource::of_cluster(cluster, endpoint.kind),
        roots: Roots::Rds { region: region.clone() },
        region,
        database: database(&tags, cluster.database_name()),
        local_port: None,
        guard_rails: GuardRails::default(),
        tags,
        related: endpoint.leads_to,
        listed_at: endpoint.listed_at,
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

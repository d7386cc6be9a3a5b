//! The endpoints of Aurora clusters and Multi-AZ DB clusters.

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbClusterEndpoint, Filter};

use super::endpoint::{address, region_of};
use super::rds_api::{PAGE_SIZE, Page, all_pages, engines, error_text};
use super::skipped::Remark;
use super::tags::{database, local_port, tags};
use crate::aws::credentials::CredentialSource;
use crate::catalog::Discovered;

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

impl Clusters {
    /// Whether IAM authentication is on for the cluster; absent for a cluster that was not listed.
    pub(super) fn iam(&self, cluster: &str) -> Option<bool> {
        let cluster = self.clusters.iter().find(|known| known.db_cluster_identifier() == Some(cluster))?;
        Some(has_iam(cluster))
    }

    /// The endpoints that accept IAM tokens. Adds a remark for each of the others.
    pub(super) fn usable(&self, region: &str, remarks: &mut BTreeMap<String, Remark>) -> Vec<Discovered> {
        self.clusters.iter().flat_map(|cluster| self.usable_endpoints(cluster, region, remarks)).collect()
    }

    fn usable_endpoints(
        &self,
        cluster: &DbCluster,
        region: &str,
        remarks: &mut BTreeMap<String, Remark>,
    ) -> Vec<Discovered> {
        let id = cluster.db_cluster_identifier().unwrap_or_default();
        // The list has no entry for a cluster, so remarks about it go to its writer.
        let writer = format!("{id}:writer");
        let skip = if id.is_empty() {
            Some(Remark::Incomplete("identifier"))
        } else if has_iam(cluster) {
            None
        } else {
            Some(Remark::IamOff)
        };
        if let Some(remark) = skip {
            remarks.insert(writer, remark);
            return Vec::new();
        }
        let local_port = local_port(&writer, &tags(cluster.tag_list()), remarks);
        let mut found = Vec::new();
        for (name, host) in self.endpoints(cluster, id) {
            let local_port = local_port.filter(|_| name == writer);
            match describe(cluster, &name, host, region) {
                Ok(database) => found.push(Discovered { local_port, ..database }),
                Err(remark) => {
                    remarks.insert(name, remark);
                }
            }
        }
        found
    }

    /// Names and hosts. A cluster without reader instances has no reader endpoint, which needs no remark.
    fn endpoints<'a>(&'a self, cluster: &'a DbCluster, id: &str) -> Vec<(String, Option<&'a str>)> {
        let mut endpoints = vec![(format!("{id}:writer"), cluster.endpoint())];
        if let Some(reader) = cluster.reader_endpoint() {
            endpoints.push((format!("{id}:reader"), Some(reader)));
        }
        // The request filters for custom endpoints. An API that ignores the filter would list the others twice.
        let custom = self.custom.iter().filter(|endpoint| {
            endpoint.db_cluster_identifier() == Some(id)
                && endpoint.endpoint_type().is_none_or(|kind| kind.eq_ignore_ascii_case("custom"))
        });
        for endpoint in custom {
            if let Some(name) = endpoint.db_cluster_endpoint_identifier() {
                endpoints.push((format!("{id}:custom:{name}"), endpoint.endpoint()));
            }
        }
        endpoints
    }
}

/// One endpoint, with the port, tags and database of its cluster. The local port is left out: it applies to the writer
/// only, because two listeners cannot share it.
fn describe(cluster: &DbCluster, name: &str, host: Option<&str>, region: &str) -> Result<Discovered, Remark> {
    let tags = tags(cluster.tag_list());
    Ok(Discovered {
        name: name.to_owned(),
        address: address(host, cluster.port())?,
        region: region_of(cluster.db_cluster_arn(), region)?,
        database: database(&tags, cluster.database_name()),
        local_port: None,
        tags,
    })
}

fn has_iam(cluster: &DbCluster) -> bool {
    cluster.iam_database_authentication_enabled().unwrap_or(false)
}

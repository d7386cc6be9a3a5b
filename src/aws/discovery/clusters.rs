//! The endpoints of Aurora clusters and Multi-AZ DB clusters.

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbCluster, DbClusterEndpoint, Filter};

use super::endpoint::{address, region_of};
use super::rds_api::{PAGE, Page, all, engines, explain};
use super::skipped::Remark;
use super::tags::{database, local_port, tags};
use crate::aws::credentials::Origin;
use crate::catalog::Discovered;

/// The Postgres clusters of a region with their custom endpoints.
pub(super) struct Clusters {
    clusters: Vec<DbCluster>,
    custom: Vec<DbClusterEndpoint>,
}

/// All Postgres clusters that the credentials may see. Custom endpoints exist in Aurora only, and are not asked for
/// where nothing could use them.
pub(super) async fn list(client: &Client, origin: &Origin) -> Result<Clusters, String> {
    let clusters = all(|marker| async {
        let request = client.describe_db_clusters().filters(engines()).max_records(PAGE).set_marker(marker);
        let answer =
            request.send().await.map_err(|error| explain("rds:DescribeDBClusters", origin, &error))?;
        Ok(Page { entries: answer.db_clusters.unwrap_or_default(), next: answer.marker })
    })
    .await?;
    let any_aurora =
        clusters.iter().any(|cluster| cluster.engine() == Some("aurora-postgresql") && has_iam(cluster));
    let custom = if any_aurora { custom_endpoints(client, origin).await? } else { Vec::new() };
    Ok(Clusters { clusters, custom })
}

async fn custom_endpoints(client: &Client, origin: &Origin) -> Result<Vec<DbClusterEndpoint>, String> {
    all(|marker| async {
        let custom = Filter::builder().name("db-cluster-endpoint-type").values("custom").build();
        let request =
            client.describe_db_cluster_endpoints().filters(custom).max_records(PAGE).set_marker(marker);
        let answer = request
            .send()
            .await
            .map_err(|error| explain("rds:DescribeDBClusterEndpoints", origin, &error))?;
        Ok(Page { entries: answer.db_cluster_endpoints.unwrap_or_default(), next: answer.marker })
    })
    .await
}

impl Clusters {
    /// Whether IAM authentication is on for the cluster; unknown for a cluster that was not listed.
    pub(super) fn iam(&self, cluster: &str) -> Option<bool> {
        let cluster = self.clusters.iter().find(|known| known.db_cluster_identifier() == Some(cluster))?;
        Some(has_iam(cluster))
    }

    /// What can be connected to; the rest goes to `remarks`.
    pub(super) fn usable(&self, region: &str, remarks: &mut BTreeMap<String, Remark>) -> Vec<Discovered> {
        self.clusters.iter().flat_map(|cluster| self.of_cluster(cluster, region, remarks)).collect()
    }

    fn of_cluster(
        &self,
        cluster: &DbCluster,
        region: &str,
        remarks: &mut BTreeMap<String, Remark>,
    ) -> Vec<Discovered> {
        let id = cluster.db_cluster_identifier().unwrap_or_default();
        // A cluster has no name of its own in the list; the writer stands for it.
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
            let own_port = (name == writer).then_some(local_port).flatten();
            match describe(cluster, &name, host, region) {
                Ok(database) => found.push(Discovered { local_port: own_port, ..database }),
                Err(remark) => {
                    remarks.insert(name, remark);
                }
            }
        }
        found
    }

    /// Names and hosts. A cluster without reader instances has no reader endpoint, which is nothing to report.
    fn endpoints<'a>(&'a self, cluster: &'a DbCluster, id: &str) -> Vec<(String, Option<&'a str>)> {
        let mut endpoints = vec![(format!("{id}:writer"), cluster.endpoint())];
        if let Some(reader) = cluster.reader_endpoint() {
            endpoints.push((format!("{id}:reader"), Some(reader)));
        }
        // The filter in the request asks for custom ones; an API that ignores it must not give the others twice.
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

/// All endpoints of a cluster share its port, tags and database; the local port is the writer's alone, since two
/// listeners cannot have the same.
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

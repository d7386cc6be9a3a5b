//! The databases that are no targets, for `targets --hidden`.

use aws_sdk_rds::Client;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::Discovery;
use super::call_error::CallError;
use super::rds_api::{ENGINES, PAGE_SIZE, Page, all_pages};
use super::region::REGION_TIMEOUT;
use super::skipped::Remark;
use super::unusable::{of_cluster, of_instance};
use crate::aws::credentials::CredentialSource;
use crate::catalog::{DiscoverError, Skipped, SkippedList};

impl Discovery {
    /// The databases that the last listing skipped. Those with another engine are not in it, so each region is queried again.
    pub(super) async fn list_skipped(&self) -> SkippedList {
        let skipped = |region: &str| {
            let last = self.last.lock();
            last.get(region).map(|list| list.skipped.clone())
        };
        // A region that was never listed is reported already.
        let listed = self.regions.iter().filter_map(|clients| Some((clients, skipped(&clients.region)?)));
        let source = self.chain.credential_source();
        let mut list = SkippedList::default();
        let mut queries = Vec::new();
        for (clients, skipped) in listed {
            list.databases.extend(skipped);
            queries.push(query_region(&clients.region, &clients.rds, &source));
        }
        for queried in join_all(queries).await {
            match queried {
                Ok(others) => list.databases.extend(others),
                Err(error) => list.failed.push(error),
            }
        }
        list
    }
}

async fn query_region(
    region: &str,
    client: &Client,
    source: &CredentialSource,
) -> Result<Vec<Skipped>, DiscoverError> {
    let listed = timeout(REGION_TIMEOUT, Box::pin(other_engines(region, client, source))).await;
    let reason = match listed {
        Ok(Ok(others)) => return Ok(others),
        Ok(Err(error)) => error.text,
        Err(_) => format!("RDS did not answer within {} s", REGION_TIMEOUT.as_secs()),
    };
    Err(DiscoverError { account: None, region: region.to_owned(), reason })
}

/// The instances and clusters with an engine that lacks the PostgreSQL protocol.
async fn other_engines(
    region: &str,
    client: &Client,
    source: &CredentialSource,
) -> Result<Vec<Skipped>, CallError> {
    let instances = all_pages(|marker| async {
        let request = client.describe_db_instances().max_records(PAGE_SIZE).set_marker(marker);
        let failed = |error| CallError::new("rds:DescribeDBInstances", source, &error);
        let response = request.send().await.map_err(failed)?;
        Ok(Page { entries: response.db_instances.unwrap_or_default(), next: response.marker })
    });
    let clusters = all_pages(|marker| async {
        let request = client.describe_db_clusters().max_records(PAGE_SIZE).set_marker(marker);
        let failed = |error| CallError::new("rds:DescribeDBClusters", source, &error);
        let response = request.send().await.map_err(failed)?;
        Ok(Page { entries: response.db_clusters.unwrap_or_default(), next: response.marker })
    });
    let (instances, clusters) = tokio::join!(instances, clusters);
    let clusters = match clusters {
        // The listing has reported it.
        Err(CallError { only_this_call: true, .. }) => Vec::new(),
        other => other?,
    };
    let of_instances = instances?.into_iter().filter_map(|instance| {
        let name = instance.db_instance_identifier().unwrap_or_default().to_owned();
        let engine = other_engine(instance.engine())?;
        Some(of_instance(&instance).skipped(name, region, &engine))
    });
    let of_clusters = clusters.iter().filter_map(|cluster| {
        let name = format!("{}:writer", cluster.db_cluster_identifier().unwrap_or_default());
        let engine = other_engine(cluster.engine())?;
        Some(of_cluster(cluster, "writer").skipped(name, region, &engine))
    });
    Ok(of_instances.chain(of_clusters).collect())
}

/// The engine as the reason, unless a target can have that engine.
fn other_engine(engine: Option<&str>) -> Option<Remark> {
    engine.filter(|engine| !ENGINES.contains(engine)).map(|engine| Remark::Engine(engine.to_owned()))
}

//! The databases of one region.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_rds::Client;
use tokio::time::timeout;

use super::answer::Unavailable;
use super::call_error::CallError;
use super::clusters::{self, Clusters};
use super::dsql::{self, DsqlClusters};
use super::endpoint::Origin;
use super::metrics::FailureReason;
use super::proxies::{self, Proxies};
use super::skipped::Remark;
use super::{instances, unusable};
use crate::aws::credentials::Chain;
use crate::catalog::{Discovered, ListedAt, Skipped};

/// The limit for one region. It is below the directory's 30 s, so that the error names the region.
pub(super) const REGION_TIMEOUT: Duration = Duration::from_secs(25);

/// The clients for the APIs of one region.
#[derive(Clone)]
pub(super) struct ApiClients {
    pub(super) region: String,
    pub(super) rds: Client,
    pub(super) dsql: dsql::Api,
}

/// The databases of one region, and the remarks about them by `DATABASE in REGION`.
pub(super) struct RegionList {
    pub(super) databases: Vec<Discovered>,
    pub(super) remarks: BTreeMap<String, Remark>,
    /// Those that are no targets.
    pub(super) skipped: Vec<Skipped>,
    pub(super) listed_at: ListedAt,
    /// For the next listing.
    pub(super) optional: Optional,
    /// The calls that could not be made.
    pub(super) unavailable: Vec<Unavailable>,
}

/// The answers to the optional calls.
#[derive(Clone, Default)]
pub(super) struct Optional {
    clusters: Clusters,
    proxies: Proxies,
    dsql: DsqlClusters,
}

/// Lists a region, or returns why not.
pub(super) async fn list_region(
    clients: ApiClients,
    chain: Arc<Chain>,
    last: Optional,
) -> Result<RegionList, CallError> {
    timeout(REGION_TIMEOUT, Box::pin(query(&clients, &chain, last))).await.unwrap_or_else(|_| {
        let text = format!(
            "RDS did not answer within {} s; check the network, or the VPC endpoint for RDS",
            REGION_TIMEOUT.as_secs()
        );
        Err(CallError::before_an_answer(text, FailureReason::Timeout))
    })
}

async fn query(clients: &ApiClients, chain: &Chain, last: Optional) -> Result<RegionList, CallError> {
    let ApiClients { region, rds: client, dsql } = clients;
    let origin = Origin { region, listed_at: ListedAt::now() };
    // Before any call, because the SDK's error for missing credentials hides their cause.
    chain
        .current()
        .await
        .map_err(|error| CallError::before_an_answer(error.to_string(), FailureReason::Credentials))?;
    let source = chain.credential_source();
    let (instances, (clusters, mut unavailable), (proxies, of_proxies), (dsql, of_dsql)) = tokio::try_join!(
        instances::list(client, &source),
        clusters::list(client, &source, last.clusters),
        proxies::list(client, &source, region, last.proxies),
        async { Ok(dsql::list(dsql, &source, region, last.dsql).await) }
    )?;
    unavailable.extend(of_proxies);
    unavailable.extend(of_dsql);
    let mut remarks = BTreeMap::new();
    let mut databases = instances::usable(&instances, &clusters, origin, &mut remarks);
    databases.extend(clusters.usable(&instances, region, &mut remarks));
    databases.extend(proxies.usable(&instances, &clusters, region, &mut remarks));
    databases.extend(dsql.usable(region, &mut remarks));
    let skipped = unusable::skipped(&remarks, &instances, &clusters, &proxies, region);
    let remarks = remarks.into_iter().map(|(name, remark)| (format!("{name} in {region}"), remark));
    Ok(RegionList {
        databases,
        remarks: remarks.collect(),
        skipped,
        listed_at: origin.listed_at,
        optional: Optional { clusters, proxies, dsql },
        unavailable,
    })
}

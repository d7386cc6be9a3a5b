//! The port `Discover`: asks RDS, region by region, for everything that speaks Postgres and takes IAM tokens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_rds::Client;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::chain::Chain;
use super::skipped::{Remark, Told};
use super::whole::Whole;
use super::{clusters, instances};
use crate::target::{Boxed, Discover, DiscoverError, Discovered};

/// How long one region may take in all. The directory waits for 30 s; this ends sooner and says which region it was.
const REGION_TIMEOUT: Duration = Duration::from_secs(25);

/// Lists the databases of some regions.
pub struct Discovery {
    regions: Vec<(String, Client)>,
    chain: Arc<Chain>,
    told: Told,
}

/// What one region has.
type Listed = (Vec<Discovered>, BTreeMap<String, Remark>);

impl Discovery {
    pub(super) fn new(config: &SdkConfig, regions: &[String], chain: Arc<Chain>) -> Self {
        let client = |region: &String| {
            let config = aws_sdk_rds::config::Builder::from(config).region(Region::new(region.clone()));
            (region.clone(), Client::from_conf(config.interceptor(Whole).build()))
        };
        let mut names = regions.to_vec();
        names.sort();
        names.dedup();
        Self { regions: names.iter().map(client).collect(), chain, told: Told::default() }
    }

    async fn all_regions(&self) -> Result<Vec<Discovered>, DiscoverError> {
        let mut tasks = JoinSet::new();
        for (region, client) in &self.regions {
            tasks.spawn(one_region(region.clone(), client.clone(), Arc::clone(&self.chain)));
        }
        let mut found = Vec::new();
        let mut remarks = BTreeMap::new();
        // The first failure ends the call; dropping the set cancels the other regions.
        while let Some(ended) = tasks.join_next().await {
            let (databases, skipped) = ended.map_err(|error| DiscoverError {
                region: "a region".into(),
                reason: format!(
                    "the task that asked RDS ended early ({error}); this is a fault of rds-auth-proxy"
                ),
            })??;
            found.extend(databases);
            remarks.extend(skipped);
        }
        found.sort_by(|left, right| (&left.name, &left.address).cmp(&(&right.name, &right.address)));
        self.told.tell(remarks);
        Ok(found)
    }
}

impl Discover for Discovery {
    fn discover(&self) -> Boxed<'_, Result<Vec<Discovered>, DiscoverError>> {
        Box::pin(self.all_regions())
    }
}

async fn one_region(region: String, client: Client, chain: Arc<Chain>) -> Result<Listed, DiscoverError> {
    let listed =
        timeout(REGION_TIMEOUT, Box::pin(ask(&region, &client, &chain))).await.unwrap_or_else(|_| {
            Err(format!(
                "RDS did not answer within {} s; check the network, or the VPC endpoint for RDS",
                REGION_TIMEOUT.as_secs()
            ))
        });
    listed.map_err(|reason| DiscoverError { region, reason })
}

async fn ask(region: &str, client: &Client, chain: &Chain) -> Result<Listed, String> {
    // First of all, because the SDK would bury what is wrong with them.
    chain.current().await.map_err(|fault| fault.to_string())?;
    let origin = chain.origin();
    let (instances, clusters) =
        tokio::try_join!(instances::list(client, &origin), clusters::list(client, &origin))?;
    let mut remarks = BTreeMap::new();
    let mut found = instances::usable(&instances, &clusters, region, &mut remarks);
    found.extend(clusters.usable(region, &mut remarks));
    let remarks = remarks.into_iter().map(|(name, remark)| (format!("{name} in {region}"), remark));
    Ok((found, remarks.collect()))
}

#[cfg(test)]
mod tests;

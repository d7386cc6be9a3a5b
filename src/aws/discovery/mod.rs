//! The port `Discover`: asks RDS, region by region, for everything that speaks Postgres and takes IAM tokens.

mod clusters;
mod endpoint;
mod instances;
mod rds_api;
mod skipped;
mod tags;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_rds::Client;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use super::credentials::Chain;
use crate::catalog::{Boxed, Discover, DiscoverError, Discovered, Inventory};
use rds_api::Whole;
use skipped::{Remark, Told};

/// How long one region may take in all. The directory waits for 30 s; this ends sooner and says which region it was.
const REGION_TIMEOUT: Duration = Duration::from_secs(25);

/// Lists the databases of some regions.
pub struct Discovery {
    regions: Vec<(String, Client)>,
    chain: Arc<Chain>,
    told: Told,
    /// What each region had when it answered last, by its name.
    last: Mutex<BTreeMap<String, Listed>>,
}

/// What one region has.
struct Listed {
    databases: Vec<Discovered>,
    remarks: BTreeMap<String, Remark>,
}

impl Discovery {
    pub(super) fn new(config: &SdkConfig, regions: &[String], chain: Arc<Chain>) -> Self {
        let client = |region: &String| {
            let config = aws_sdk_rds::config::Builder::from(config).region(Region::new(region.clone()));
            (region.clone(), Client::from_conf(config.interceptor(Whole).build()))
        };
        let mut names = regions.to_vec();
        names.sort();
        names.dedup();
        Self {
            regions: names.iter().map(client).collect(),
            chain,
            told: Told::default(),
            last: Mutex::default(),
        }
    }

    async fn all_regions(&self) -> Result<Inventory, DiscoverError> {
        let mut tasks = JoinSet::new();
        for (region, client) in &self.regions {
            tasks.spawn(one_region(region.clone(), client.clone(), Arc::clone(&self.chain)));
        }
        let mut listed = Vec::new();
        let mut failed = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            match ended.unwrap_or_else(|error| Err(crashed(&error))) {
                Ok(region) => listed.push(region),
                Err(error) => failed.push(error),
            }
        }
        failed.sort_by(|left, right| left.region.cmp(&right.region));
        if listed.is_empty()
            && let Some(first) = failed.first()
        {
            return Err(first.clone());
        }
        Ok(Inventory { databases: self.note(listed), failed })
    }

    /// Takes over what some regions have now. Returns what all of them have.
    fn note(&self, listed: Vec<(String, Listed)>) -> Vec<Discovered> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.extend(listed);
        let remarks = last.values().flat_map(|region| region.remarks.clone()).collect();
        let mut found: Vec<_> = last.values().flat_map(|region| region.databases.clone()).collect();
        drop(last);
        self.told.tell(remarks);
        found.sort_by(|left, right| (&left.name, &left.address).cmp(&(&right.name, &right.address)));
        found
    }
}

impl Discover for Discovery {
    fn discover(&self) -> Boxed<'_, Result<Inventory, DiscoverError>> {
        Box::pin(self.all_regions())
    }
}

fn crashed(error: &JoinError) -> DiscoverError {
    DiscoverError {
        region: "a region".into(),
        reason: format!("the task that queried RDS ended early ({error}); this is a bug in rds-auth-proxy"),
    }
}

async fn one_region(
    region: String,
    client: Client,
    chain: Arc<Chain>,
) -> Result<(String, Listed), DiscoverError> {
    let listed =
        timeout(REGION_TIMEOUT, Box::pin(ask(&region, &client, &chain))).await.unwrap_or_else(|_| {
            Err(format!(
                "RDS did not answer within {} s; check the network, or the VPC endpoint for RDS",
                REGION_TIMEOUT.as_secs()
            ))
        });
    match listed {
        Ok(listed) => Ok((region, listed)),
        Err(reason) => Err(DiscoverError { region, reason }),
    }
}

async fn ask(region: &str, client: &Client, chain: &Chain) -> Result<Listed, String> {
    // First of all, because the SDK would bury what is wrong with them.
    chain.current().await.map_err(|fault| fault.to_string())?;
    let origin = chain.origin();
    let (instances, clusters) =
        tokio::try_join!(instances::list(client, &origin), clusters::list(client, &origin))?;
    let mut remarks = BTreeMap::new();
    let mut databases = instances::usable(&instances, &clusters, region, &mut remarks);
    databases.extend(clusters.usable(region, &mut remarks));
    let remarks = remarks.into_iter().map(|(name, remark)| (format!("{name} in {region}"), remark));
    Ok(Listed { databases, remarks: remarks.collect() })
}

#[cfg(test)]
mod tests;

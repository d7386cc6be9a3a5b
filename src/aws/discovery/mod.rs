//! The port `Discover`: lists the Postgres databases that accept IAM tokens, region by region.

mod answer;
mod call_error;
mod clusters;
mod dsql;
mod endpoint;
mod error_code;
mod hidden;
mod instances;
mod metrics;
mod missing;
mod proxies;
mod proxy_calls;
mod rds_api;
mod region;
mod related;
mod resource;
mod skipped;
mod tags;
mod unusable;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use aws_sdk_rds::Client;
use parking_lot::Mutex;
use tokio::task::{JoinError, JoinSet};

use super::clock::ReportDate;
use super::credentials::Chain;
use crate::catalog::{
    AwsClock, Boxed, Discover, DiscoverError, Discovered, Inventory, ListedAt, SkippedList,
};
use answer::ReportedCalls;
use call_error::{CallError, not_enabled};
use metrics::FailureReason;
use rds_api::RejectTruncated;
use region::{ApiClients, RegionList, list_region};
use skipped::ReportedRemarks;

pub use metrics::describe;

/// Lists the databases of some regions.
pub struct Discovery {
    /// The account, for logs and metrics; absent where the configuration names none.
    account: Option<Arc<str>>,
    regions: Vec<ApiClients>,
    chain: Arc<Chain>,
    reported: ReportedRemarks,
    reported_calls: ReportedCalls,
    /// The last list of each region, by its name.
    last: Mutex<BTreeMap<String, RegionList>>,
    /// Stands for the time of the list in a region that was never listed.
    created: ListedAt,
}

/// A region that could not be listed.
struct Failed {
    region: String,
    error: CallError,
}

impl Discovery {
    pub(super) fn new(
        config: &SdkConfig,
        regions: &[String],
        chain: Arc<Chain>,
        clock: &AwsClock,
        account: Option<Arc<str>>,
    ) -> Self {
        let clients = |region: &String| {
            let dsql = dsql::Api::new(config, region);
            let config = aws_sdk_rds::config::Builder::from(config).region(Region::new(region.clone()));
            let config = config.interceptor(RejectTruncated).interceptor(ReportDate(clock.clone()));
            ApiClients { region: region.clone(), rds: Client::from_conf(config.build()), dsql }
        };
        let mut names = regions.to_vec();
        names.sort();
        names.dedup();
        for region in &names {
            metrics::expect(account.as_ref(), region);
        }
        Self {
            account,
            regions: names.iter().map(clients).collect(),
            chain,
            reported: ReportedRemarks::default(),
            reported_calls: ReportedCalls::default(),
            last: Mutex::default(),
            created: ListedAt::now(),
        }
    }

    async fn list_all(&self) -> Result<Inventory, DiscoverError> {
        let mut tasks = JoinSet::new();
        let mut regions = HashMap::new();
        for clients in &self.regions {
            let last = self.last.lock().get(&clients.region).map(|last| last.optional.clone());
            let task = list_region(clients.clone(), Arc::clone(&self.chain), last.unwrap_or_default());
            regions.insert(tasks.spawn(task).id(), &clients.region);
        }
        let mut listed = Vec::new();
        let mut failed = Vec::new();
        while let Some(ended) = tasks.join_next_with_id().await {
            let (id, result) = ended.unwrap_or_else(|error| (error.id(), Err(crashed(&error))));
            let region = regions.remove(&id).cloned().unwrap_or_default();
            match result {
                Ok(list) => listed.push((region, list)),
                Err(error) => {
                    metrics::failed(self.account.as_ref(), &region, error.reason);
                    failed.push(Failed { region, error });
                }
            }
        }
        failed.sort_by(|left, right| left.region.cmp(&right.region));
        let known_elsewhere = !listed.is_empty();
        let failed: Vec<_> = failed.into_iter().map(|failed| failed.explained(known_elsewhere)).collect();
        if listed.is_empty()
            && let Some(first) = failed.first()
        {
            return Err(first.clone());
        }
        let (databases, listed_at) = self.merge(listed);
        Ok(Inventory { databases, failed, listed_at })
    }

    /// Replaces the lists of these regions. Returns the databases of all regions, and the time of the oldest list.
    fn merge(&self, listed: Vec<(String, RegionList)>) -> (Vec<Discovered>, ListedAt) {
        for (region, list) in &listed {
            self.reported_calls.report(self.account.as_deref(), region, &list.unavailable);
        }
        let mut last = self.last.lock();
        last.extend(listed);
        let times = last.values().map(|region| region.listed_at);
        let oldest = times.max_by_key(|listed_at| listed_at.age()).unwrap_or_else(ListedAt::now);
        let remarks = last.values().flat_map(|region| region.remarks.clone()).collect();
        let mut found: Vec<_> = last.values().flat_map(|region| region.databases.clone()).collect();
        drop(last);
        self.reported.report(self.account.as_deref(), remarks);
        dsql::make_names_unique(&mut found);
        found.sort_by(|left, right| (&left.name, &left.address).cmp(&(&right.name, &right.address)));
        (found, oldest)
    }
}

impl Discover for Discovery {
    fn discover(&self) -> Boxed<'_, Result<Inventory, DiscoverError>> {
        Box::pin(self.list_all())
    }

    fn skipped(&self) -> Boxed<'_, SkippedList> {
        Box::pin(self.list_skipped())
    }

    fn measure(&self) {
        let last = self.last.lock();
        for ApiClients { region, .. } in &self.regions {
            let listed_at = last.get(region).map_or(self.created, |list| list.listed_at);
            metrics::age(self.account.as_ref(), region, listed_at.age());
        }
    }

    fn why_skipped<'a>(&'a self, name: &'a str) -> Boxed<'a, Option<String>> {
        Box::pin(Self::why_skipped(self, name))
    }
}

impl Failed {
    /// The error. `known_elsewhere`: another region knows the credentials.
    fn explained(self, known_elsewhere: bool) -> DiscoverError {
        let Self { region, error } = self;
        let not_enabled = (error.unknown_credentials && known_elsewhere).then(|| not_enabled(&region));
        DiscoverError { account: None, reason: not_enabled.unwrap_or(error.text), region }
    }
}

fn crashed(error: &JoinError) -> CallError {
    let text = format!("the task that queried RDS ended early ({error}); this is a bug in rds-auth-proxy");
    CallError::before_an_answer(text, FailureReason::Crashed)
}

#[cfg(test)]
mod tests;

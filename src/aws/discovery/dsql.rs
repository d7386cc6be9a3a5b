//! The clusters of Aurora DSQL. They are another service than RDS, with its own API, so that no failure of it affects RDS.

#[cfg(feature = "dsql")]
mod api;
#[cfg(not(feature = "dsql"))]
#[path = "dsql/no_api.rs"]
mod api;
mod cluster;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::answer::Unavailable;
use super::call_error::{CallError, Unreachable};
use super::skipped::Remark;
use crate::aws::credentials::CredentialSource;
use crate::catalog::{Discovered, ListedAt};
use cluster::Cluster;

pub(super) use api::Api;

/// The action in the IAM policy that lists clusters.
const LIST: &str = "dsql:ListClusters";
/// The action that returns endpoint, status and tags of a cluster.
const GET: &str = "dsql:GetCluster";

/// How long RDS waits for the clusters of a region: a network without a way to this API must not delay the other databases.
const LIMIT: Duration = Duration::from_secs(5);

/// How long an API that cannot be reached and has never answered is left alone.
const PAUSE: Duration = Duration::from_mins(10);

/// Clusters that are looked up at a time.
const CONCURRENT: usize = 8;

/// The clusters of a region.
#[derive(Clone, Default)]
pub(super) struct DsqlClusters {
    /// Absent until the API has answered.
    listed: Option<Arc<[Cluster]>>,
    pause: Option<Pause>,
}

/// No calls are made until then.
#[derive(Clone)]
struct Pause {
    until: Instant,
    /// Why the API cannot be reached; absent if the region has none.
    reason: Option<String>,
}

/// All clusters that the AWS identity may list. Both calls are optional: where one fails, the clusters of `last` stay.
pub(super) async fn list(
    api: &Api,
    source: &CredentialSource,
    region: &str,
    last: DsqlClusters,
) -> (DsqlClusters, Vec<Unavailable>) {
    if let Some(pause) = last.pause.as_ref().filter(|pause| pause.until > Instant::now()) {
        let unavailable = pause.unavailable();
        return (last, unavailable);
    }
    let known = last.listed.as_deref().unwrap_or_default();
    let error = match timeout(LIMIT, Box::pin(query(api, source, known))).await {
        Ok(Ok((listed, unavailable))) => {
            return (DsqlClusters { listed: Some(listed.into()), pause: None }, unavailable);
        }
        Ok(Err(error)) => error,
        Err(_) => CallError::no_answer(LIST, LIMIT),
    };
    // An API that has answered before is called again at the next refresh, and its silence needs a warning.
    let unreachable = error.unreachable.filter(|_| last.listed.is_none());
    let reason = match unreachable {
        Some(Unreachable::NoName) => {
            debug!(region, error.text, "the region has no endpoint of Aurora DSQL");
            None
        }
        Some(Unreachable::NoAnswer) | None => Some(error.text),
    };
    let pause = Pause { until: Instant::now() + PAUSE, reason };
    let unavailable = pause.unavailable();
    (DsqlClusters { pause: unreachable.map(|_| pause), ..last }, unavailable)
}

/// The clusters, and the error of a cluster that could not be looked up.
async fn query(
    api: &Api,
    source: &CredentialSource,
    known: &[Cluster],
) -> Result<(Vec<Cluster>, Vec<Unavailable>), CallError> {
    let listed_at = ListedAt::now();
    let identifiers = api.identifiers(LIST, source).await?;
    let look_up = async |identifier: String| {
        let found = api.cluster(GET, &identifier, source, listed_at).await;
        (identifier, found)
    };
    let mut answers = stream::iter(identifiers).map(look_up).buffer_unordered(CONCURRENT);
    let (mut clusters, mut unavailable) = (Vec::new(), Vec::new());
    while let Some((identifier, answer)) = answers.next().await {
        match answer {
            Ok(found) => clusters.extend(found),
            Err(CallError { text: reason, .. }) => {
                clusters.extend(known.iter().find(|cluster| cluster.identifier == identifier).cloned());
                unavailable.push(Unavailable { action: GET, reason });
            }
        }
    }
    Ok((clusters, unavailable))
}

impl Pause {
    fn unavailable(&self) -> Vec<Unavailable> {
        self.reason.iter().map(|reason| Unavailable { action: LIST, reason: reason.clone() }).collect()
    }
}

impl DsqlClusters {
    /// The clusters that accept connections. Adds a remark for each of the others.
    pub(super) fn usable(&self, region: &str, remarks: &mut BTreeMap<String, Remark>) -> Vec<Discovered> {
        let clusters = self.listed.iter().flat_map(|listed| listed.iter());
        clusters.filter_map(|cluster| cluster.describe(region, remarks)).collect()
    }
}

/// Gives a cluster its identifier as the name where its tag `Name` is the name or identifier of another database.
pub(super) fn make_names_unique(databases: &mut [Discovered]) {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for database in databases.iter() {
        for name in [Some(&database.name), database.identifier.as_ref()].into_iter().flatten() {
            *names.entry(name.to_lowercase()).or_default() += 1;
        }
    }
    for database in databases {
        let is_unique = names.get(&database.name.to_lowercase()) == Some(&1);
        if let Some(identifier) = database.identifier.take_if(|_| !is_unique) {
            database.name = identifier;
        }
    }
}

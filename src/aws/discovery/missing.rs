//! Why a database that exists in RDS is no target: for a client whose user names it.

use std::time::Duration;

use aws_sdk_rds::Client;
use tokio::time::timeout;

use super::skipped::Remark;
use super::{ApiClients, Discovery};

/// How long AWS may take. The user waits for an error.
const LIMIT: Duration = Duration::from_secs(5);

impl Discovery {
    /// `REGION: REASON` of the database with this name if it is skipped. Absent if RDS has no such database, or does not answer in
    /// time.
    pub(super) async fn why_skipped(&self, name: &str) -> Option<String> {
        if let Some(known) = self.last_remark(name) {
            return Some(known);
        }
        for ApiClients { region, rds: client, .. } in &self.regions {
            let engine = timeout(LIMIT, Box::pin(engine(client, name))).await.ok().flatten();
            if let Some(engine) = engine.filter(|engine| !engine.contains("postgres")) {
                return Some(format!("{region}: {}", Remark::Engine(engine)));
            }
        }
        None
    }

    /// The remark of the last listing.
    fn last_remark(&self, name: &str) -> Option<String> {
        let last = self.last.lock();
        last.iter().find_map(|(region, list)| {
            let key = format!("{name} in {region}");
            let (_, remark) = list.remarks.iter().find(|(known, _)| known.eq_ignore_ascii_case(&key))?;
            remark.skips().then(|| format!("{region}: {remark}"))
        })
    }
}

/// The engine of the instance, or of the cluster before the colon, in any engine of RDS. Errors are no reason to fail: the user
/// gets the error for an unknown name.
async fn engine(client: &Client, name: &str) -> Option<String> {
    if let Some((cluster, _)) = name.split_once(':') {
        let found = client.describe_db_clusters().db_cluster_identifier(cluster).send().await.ok()?;
        return found.db_clusters().first()?.engine().map(str::to_owned);
    }
    let found = client.describe_db_instances().db_instance_identifier(name).send().await.ok()?;
    found.db_instances().first()?.engine().map(str::to_owned)
}

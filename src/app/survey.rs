//! What a first configuration can name: profiles, regions with databases, clusters with a server.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::aws::{self, Aws, Shared};
use crate::catalog::{Discover, Pods, PortForward};
use crate::kubernetes::{self, Tunnel};
use crate::process::CommandError;
use crate::tls;

/// The name of the server's deployment, service and namespace in its chart.
pub(crate) const SERVER: &str = "rds-auth-proxy";

/// The port of a server with the default settings.
const PORT: u16 = 8000;

/// For the AWS configuration, and then for the lists of all regions.
const AWS_LIMIT: Duration = Duration::from_secs(30);

/// For one cluster. One behind a VPN that is off does not answer.
const CLUSTER_LIMIT: Duration = Duration::from_secs(10);

/// The names of the AWS profiles.
pub(crate) async fn profiles() -> Vec<String> {
    spawn_blocking(aws::profile_names).await.unwrap_or_default()
}

/// How many databases for a client each region has, for the regions that have some. It is an error if no region answers.
pub(crate) async fn regions(profile: Option<&str>) -> Result<BTreeMap<String, usize>, CommandError> {
    let counted = timeout(AWS_LIMIT, count(profile)).await;
    counted.unwrap_or_else(|_| {
        let seconds = AWS_LIMIT.as_secs();
        Err(CommandError::runtime(format_args!(
            "AWS did not list the databases of all regions within {seconds} s; name the region with --region"
        )))
    })
}

async fn count(profile: Option<&str>) -> Result<BTreeMap<String, usize>, CommandError> {
    let aws = Aws::load(&[], profile, &Shared::default()).await;
    let partition = aws.region_name().map_or("", partition);
    // Without a region of the partition, discovery takes that of the AWS configuration.
    let mut regions = tls::rds_regions();
    regions.retain(|region| self::partition(region) == partition);
    let discovery = aws.discovery(&regions, None).map_err(CommandError::usage)?;
    let inventory = discovery.discover().await.map_err(CommandError::runtime)?;
    let mut found = BTreeMap::new();
    for database in inventory.databases {
        *found.entry(database.region).or_default() += 1;
    }
    Ok(found)
}

/// The prefix of a region's name that tells its partition of AWS. Credentials are valid in one partition.
fn partition(region: &str) -> &'static str {
    ["us-gov-", "cn-"].into_iter().find(|prefix| region.starts_with(prefix)).unwrap_or_default()
}

/// The contexts of the kubeconfig behind which pods of a server run: in the namespace of the context, else in that of the chart.
pub(crate) async fn clusters() -> Vec<PortForward> {
    let contexts = spawn_blocking(kubernetes::context_names).await.unwrap_or_default();
    let found = join_all(contexts.into_iter().map(|context| timeout(CLUSTER_LIMIT, cluster(context)))).await;
    found.into_iter().filter_map(|found| found.ok().flatten()).collect()
}

async fn cluster(context: String) -> Option<PortForward> {
    for namespace in [None, Some(SERVER.to_owned())] {
        let forward = PortForward {
            kube_config: None,
            context: Some(context.clone()),
            namespace,
            pods: Pods::Deployment(SERVER.to_owned()),
            local_port: None,
            remote_port: PORT,
        };
        if Tunnel::new(forward.clone()).ready_pods().await.is_ok() {
            return Some(forward);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_another_partition_are_told_apart() {
        assert!(tls::rds_regions().iter().filter(|region| partition(region).is_empty()).count() > 20);
        assert_eq!(["eu-west-1", "us-gov-west-1", "cn-north-1"].map(partition), ["", "us-gov-", "cn-"]);
    }
}

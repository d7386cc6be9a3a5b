//! The region of the AWS configuration: for the credentials' own calls, and for discovery if no region is configured.

use std::time::Duration;

use aws_config::default_provider::region::DefaultRegionChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{ConfigLoader, Region};
use tokio::time::timeout;

use super::untraced::untraced;

/// The limit for the instance metadata service, which answers only on EC2.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);

/// The region of STS if nothing names one: the global endpoint's (AWS SDKs and Tools Reference Guide, "AWS STS Regional
/// endpoints").
const GLOBAL_STS: Region = Region::from_static("us-east-1");

/// The region that the environment or the profile names; else the first of the configured ones; else the one that the
/// instance metadata service returns.
pub(super) async fn find_region(configured: &[String]) -> Option<Region> {
    let named = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    if let Some(first) = configured.first().filter(|name| is_region(name)) {
        return untraced(named.or_else(Region::new(first.clone())).region()).await;
    }
    let with_metadata = DefaultRegionChain::builder().build();
    timeout(METADATA_TIMEOUT, untraced(with_metadata.region())).await.ok().flatten()
}

/// Sets the region. Without one, the SDK would query the instance metadata service again for every new chain.
pub(super) fn with_region(loader: ConfigLoader, region: Option<Region>) -> ConfigLoader {
    loader.region(region.unwrap_or(GLOBAL_STS))
}

/// Whether the text can be a region. It becomes part of a host name, so no other characters are allowed.
pub(super) fn is_region(text: &str) -> bool {
    text.contains('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

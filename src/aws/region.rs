//! The region of the AWS configuration: that of the credentials' own calls, and of discovery where none is named.

use std::time::Duration;

use aws_config::default_provider::region::DefaultRegionChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{ConfigLoader, Region};
use tokio::time::timeout;

use super::untraced::quiet;

/// How long the instance metadata may take to name a region; elsewhere than on EC2 it never answers.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);

/// Where STS is asked when nothing names a region, as it was before it had regions (AWS SDKs and Tools Reference Guide,
/// "AWS STS Regional endpoints").
const GLOBAL: Region = Region::from_static("us-east-1");

/// What the environment or the profile names; else the first of the configured ones; else what the instance metadata
/// says, if it says so soon.
pub(super) async fn region(configured: &[String]) -> Option<Region> {
    let named = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    if let Some(first) = configured.first().filter(|name| is_region(name)) {
        return quiet(named.or_else(Region::new(first.clone())).region()).await;
    }
    let everything = DefaultRegionChain::builder().build();
    timeout(METADATA_TIMEOUT, quiet(everything.region())).await.ok().flatten()
}

/// Sets the region. The SDK would ask the instance metadata again if there were none, for every rebuilt chain.
pub(super) fn with_region(loader: ConfigLoader, region: Option<Region>) -> ConfigLoader {
    loader.region(region.unwrap_or(GLOBAL))
}

/// A region becomes part of a host name, so nothing else may stand in it.
pub(super) fn is_region(text: &str) -> bool {
    text.contains('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

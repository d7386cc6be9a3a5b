//! The region of the AWS configuration: for the credentials' own calls, and for discovery if no region is configured.

use std::time::Duration;

use aws_config::{ConfigLoader, Region};
use tokio::time::timeout;

use super::credentials::{CredentialLoader, SharedConfig};
use super::untraced::untraced;

/// The limit for the instance metadata service, which answers only on EC2.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);

/// The region of STS if nothing names one: the global endpoint's (AWS SDKs and Tools Reference Guide, "AWS STS Regional
/// endpoints").
const GLOBAL_STS: Region = Region::from_static("us-east-1");

/// A region, and what names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedRegion {
    pub(super) region: Region,
    pub(super) origin: String,
}

/// The region that the environment or the profile names; else the first of the configured ones; else the one that the
/// instance metadata service returns.
pub(super) async fn find_region(
    loader: &CredentialLoader,
    shared: &SharedConfig,
    configured: &[String],
) -> Option<NamedRegion> {
    if let Some(named) = named(loader, shared) {
        return Some(named);
    }
    if let Some(first) = configured.first().filter(|name| is_region(name)) {
        return Some(NamedRegion { region: Region::new(first.clone()), origin: "`rds.regions`".into() });
    }
    let with_metadata = loader.sdk_config(shared).await.no_credentials();
    let found = timeout(METADATA_TIMEOUT, untraced(Box::pin(with_metadata.load()))).await.ok()?;
    let region = found.region()?.clone();
    Some(NamedRegion { region, origin: "the instance metadata".into() })
}

fn named(loader: &CredentialLoader, shared: &SharedConfig) -> Option<NamedRegion> {
    let (variables, profile) = (&loader.files.environment, &loader.files.profile);
    if let Some(region) = variables.get("AWS_REGION") {
        let older = variables.get("AWS_DEFAULT_REGION").is_some_and(|older| older == region);
        let origin = if older { "AWS_DEFAULT_REGION" } else { "AWS_REGION" };
        return Some(NamedRegion { region: Region::new(region.to_owned()), origin: origin.into() });
    }
    let region = shared.profile(profile).remove("region")?;
    Some(NamedRegion {
        region: Region::new(region),
        origin: format!("`region` of the AWS profile \"{profile}\""),
    })
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

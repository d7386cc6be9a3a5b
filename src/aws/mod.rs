//! The AWS edge: lists the databases and makes the IAM passwords.
//!
//! Credentials come from the SDK's default chain: environment, profiles (SSO, `credential_process`, assumed roles), web
//! identity, container, instance role. A login that rewrites files under `~/.aws` takes effect with the next connection.
//!
//! Names of discovered databases:
//!
//! | database | name |
//! |---|---|
//! | DB instance, members of clusters included | its DB instance identifier |
//! | writer endpoint of an Aurora or Multi-AZ DB cluster | `CLUSTER:writer` |
//! | its reader endpoint | `CLUSTER:reader` |
//! | its custom endpoint NAME | `CLUSTER:custom:NAME` |
//! | default endpoint of an RDS Proxy | `PROXY:proxy` |
//! | its further endpoint NAME | `PROXY:proxy:NAME` |
//!
//! RDS identifiers consist of letters, digits and hyphens, so a name with a colon is never an instance.
//!
//! The access list applies to the tags of the cluster or proxy for its endpoints, and to an instance's own tags for the instance. A
//! blocked tag also applies to the instances of its cluster, and to the endpoints that can lead to its instance.
//! The tag `rds-auth-proxy:local-port` of a cluster applies to its writer. A cluster decides whether IAM authentication
//! is on for its members.

mod credentials;
mod discovery;
#[cfg(test)]
mod fake_aws;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod minter;
mod region;
mod token;
mod untraced;

use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use tracing::warn;

use credentials::{Chain, CredentialLoader, Files, Identities, NewConfig};
use region::{find_region, is_region, with_region};
use untraced::untraced;

pub use discovery::Discovery;
pub use minter::Minter;

/// The limit for a TCP and TLS connection to an AWS API.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// The limit for one attempt at an API call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);

/// Attempts at an API call, with the SDK's exponential back-off in between.
const MAX_ATTEMPTS: u32 = 3;

/// The AWS configuration of this process, loaded once; the credentials in it stay current.
#[derive(Clone)]
pub struct Aws {
    config: SdkConfig,
    /// Absent if nothing names a region.
    region: Option<Region>,
    profile: String,
    chain: Arc<Chain>,
    identities: Arc<Identities>,
}

/// The AWS configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// Nothing names the region of the databases.
    #[error(
        "no AWS region is set: name the regions under `rds.regions` in the configuration, or set AWS_REGION, or \
         `region` in the AWS profile \"{profile}\""
    )]
    NoRegion {
        /// The profile in use.
        profile: String,
    },
    /// A configured region is not a region.
    #[error(
        "\"{region}\" in `rds.regions` is not an AWS region: a region consists of lower-case letters, digits and \
         hyphens, such as us-east-1"
    )]
    InvalidRegion {
        /// The configured value.
        region: String,
    },
}

impl Aws {
    /// Reads the AWS configuration. Missing or expired credentials are no error here, because a proxy with static
    /// targets needs none; each use reports them. If environment and profile name no region, the first of `regions`
    /// (those of the configuration) is the one for the credentials' own calls, such as assuming a role.
    pub async fn load(regions: &[String]) -> Self {
        let files = Files::of_this_process();
        warn_of_denied(files.clone()).await;
        let loader = CredentialLoader { new_config: Arc::new(new_config), files };
        Self::with(loader, find_region(regions).await).await
    }

    async fn with(loader: CredentialLoader, region: Option<Region>) -> Self {
        let CredentialLoader { new_config, files } = loader;
        let (profile, own_region) = (files.profile.clone(), region.clone());
        let new_config: NewConfig = Arc::new(move || with_region(new_config(), own_region.clone()));
        let config = untraced(Box::pin(new_config().load())).await;
        let chain = Arc::new(Chain::new(CredentialLoader { new_config, files }));
        let provider: Arc<dyn ProvideCredentials> = Arc::clone(&chain) as _;
        let config = config
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(provider))
            .identity_cache(IdentityCache::no_cache())
            .build();
        let identities = Arc::new(Identities::new(aws_sdk_sts::Client::new(&config)));
        Self { config, region, profile, chain, identities }
    }

    /// Lists the databases of `regions`, or of the AWS configuration's region if there are none.
    pub fn discovery(&self, regions: &[String]) -> Result<Discovery, AwsError> {
        let regions = if regions.is_empty() { vec![self.own_region()?] } else { regions.to_vec() };
        if let Some(region) = regions.iter().find(|region| !is_region(region)) {
            return Err(AwsError::InvalidRegion { region: region.clone() });
        }
        Ok(Discovery::new(&self.config, &regions, Arc::clone(&self.chain)))
    }

    /// Makes IAM passwords with the credentials of this process.
    #[must_use]
    pub fn minter(&self) -> Minter {
        Minter::new(Arc::clone(&self.chain), Arc::clone(&self.identities))
    }

    /// The ARN of the current credentials, if STS returns it within 5 s. The minter uses the ARN from then on; it looks
    /// up the ARN of later credentials in the background.
    pub async fn identity(&self) -> Option<String> {
        let credentials = self.chain.current().await.ok()?;
        self.identities.look_up(&credentials).await
    }

    fn own_region(&self) -> Result<String, AwsError> {
        let region = self.region.as_ref().map(Region::to_string);
        region.ok_or_else(|| AwsError::NoRegion { profile: self.profile.clone() })
    }
}

/// The SDK would use other credentials instead, without an error. The image of the Go program ran as root and could read every
/// file.
async fn warn_of_denied(files: Files) {
    let denied = tokio::task::spawn_blocking(move || files.denied()).await.unwrap_or_default();
    for error in denied {
        warn!(%error, "AWS credentials in a file are not used");
    }
}

fn new_config() -> ConfigLoader {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        .timeout_config(timeouts.build());
    match AppName::new(env!("CARGO_PKG_NAME")) {
        Ok(name) => loader.app_name(name),
        Err(_) => loader,
    }
}

#[cfg(test)]
mod tests;

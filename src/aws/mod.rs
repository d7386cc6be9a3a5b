//! The AWS edge: which databases there are, and the IAM passwords to log in with.
//!
//! Credentials come from the SDK's default chain: environment, profiles (SSO, `credential_process`, assumed roles), web
//! identity, container, instance role. Logins that rewrite the files under `~/.aws` count from the next connection on.
//!
//! How discovered databases are called:
//!
//! | what | name |
//! |---|---|
//! | DB instance, members of clusters included | its DB instance identifier |
//! | writer endpoint of an Aurora or Multi-AZ DB cluster | `CLUSTER:writer` |
//! | its reader endpoint | `CLUSTER:reader` |
//! | its custom endpoint NAME | `CLUSTER:custom:NAME` |
//!
//! Identifiers in RDS are made of letters, digits and hyphens, so the colon keeps the two kinds of names apart.
//!
//! Endpoints of a cluster carry the cluster's tags, so the access list goes by these; instances carry their own. The
//! tag `rds-auth-proxy:local-port` of a cluster is for its writer. Whether IAM authentication is on is the cluster's
//! say for its members too.

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

use credentials::{Chain, Files, Identities, Loader, Source};
use region::{is_region, region, with_region};
use untraced::quiet;

pub use discovery::Discovery;
pub use minter::Minter;

/// How long a TCP and TLS connection to an AWS API may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// How long one attempt at an API call may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);

/// How often a call is tried, with the SDK's exponential back-off in between.
const ATTEMPTS: u32 = 3;

/// The AWS configuration of this process, loaded once; the credentials in it stay current.
#[derive(Clone)]
pub struct Aws {
    config: SdkConfig,
    /// Absent where nothing names one.
    region: Option<Region>,
    profile: String,
    chain: Arc<Chain>,
    identities: Arc<Identities>,
}

/// The AWS configuration does not do.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// Nothing says where the databases live.
    #[error(
        "no AWS region is set: name the regions under `rds.regions` in the configuration, or set AWS_REGION, or \
         `region` in the AWS profile \"{profile}\""
    )]
    NoRegion {
        /// The profile that was looked at.
        profile: String,
    },
    /// What is given as a region is none.
    #[error(
        "\"{region}\" in `rds.regions` is no AWS region: regions are written in small letters, digits and hyphens, \
         such as us-east-1"
    )]
    InvalidRegion {
        /// What was given.
        region: String,
    },
}

impl Aws {
    /// Reads the AWS configuration. Missing or expired credentials are no error here: each use reports them, so that
    /// a proxy with static targets runs without any. The first of `regions`, those of the configuration, is where
    /// credentials come from if environment and profile name no region, as for an assumed role.
    pub async fn load(regions: &[String]) -> Self {
        let source = Source { loader: Arc::new(loader), files: Files::of_this_process() };
        Self::with(source, region(regions).await).await
    }

    async fn with(source: Source, region: Option<Region>) -> Self {
        let (profile, loader, named) = (source.files.profile.clone(), source.loader, region.clone());
        let loader: Loader = Arc::new(move || with_region(loader(), named.clone()));
        let config = quiet(Box::pin(loader().load())).await;
        let chain = Arc::new(Chain::new(Source { loader, ..source }));
        let provider: Arc<dyn ProvideCredentials> = Arc::clone(&chain) as _;
        let config = config
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(provider))
            .identity_cache(IdentityCache::no_cache())
            .build();
        let identities = Arc::new(Identities::new(aws_sdk_sts::Client::new(&config)));
        Self { config, region, profile, chain, identities }
    }

    /// Lists the databases of these regions; of the region of the AWS configuration when there are none.
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

    /// The ARN that the credentials belong to, if AWS tells within 5 s. The minter names the ARN from then on; it asks by
    /// itself for credentials that come later.
    pub async fn identity(&self) -> Option<String> {
        let credentials = self.chain.current().await.ok()?;
        self.identities.learn(&credentials).await
    }

    fn own_region(&self) -> Result<String, AwsError> {
        let region = self.region.as_ref().map(Region::to_string);
        region.ok_or_else(|| AwsError::NoRegion { profile: self.profile.clone() })
    }
}

fn loader() -> ConfigLoader {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts.build());
    match AppName::new(env!("CARGO_PKG_NAME")) {
        Ok(name) => loader.app_name(name),
        Err(_) => loader,
    }
}

#[cfg(test)]
mod tests;

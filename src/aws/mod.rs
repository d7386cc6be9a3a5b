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
//! | cluster of Aurora DSQL | its tag `Name`, if no other database has that name or identifier; else its identifier |
//!
//! RDS identifiers consist of letters, digits and hyphens, so a name with a colon is never an instance. A cluster of Aurora DSQL is
//! found under its identifier too.
//!
//! The access list applies to the tags of the cluster or proxy for its endpoints, and to an instance's own tags for the instance. A
//! blocked tag also applies to the instances of its cluster, and to the endpoints that can lead to its instance.
//! The tag `rds-auth-proxy:local-port` of a cluster applies to its writer. A cluster decides whether IAM authentication
//! is on for its members.

mod account_lists;
mod accounts;
mod clock;
mod credentials;
mod discovery;
mod environment;
mod error;
mod facts;
#[cfg(test)]
mod fake_aws;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod http_client;
mod iam_api;
mod login;
mod minter;
mod region;
mod role_sources;
mod sdk_config;
mod shared;
mod simulation;
mod sts;
mod token;
mod untraced;

use std::sync::Arc;

use aws_config::SdkConfig;
use tracing::warn;

use crate::catalog::{AwsClock, IamRole};
use clock::ReportDate;
use credentials::{
    AssumeRole, AssumedRoles, BrokenFile, Chain, CredentialLoader, Files, Identities, NoCredentials,
    SharedConfig, unusable_endpoint,
};
use environment::Environment;
use http_client::http_client;
use region::{NamedRegion, find_region, is_region, with_region};
use sdk_config::{new_config, signed_by};
use untraced::untraced;

pub use accounts::{Accounts, Minters};
pub use credentials::profile_names;
pub use discovery::{Discovery, describe};
pub use error::AwsError;
use minter::Minter;
pub use minter::SignedToken;
pub use role_sources::RolesByService;
pub use shared::Shared;
pub use simulation::Decision;

/// The AWS configuration of this process, loaded once; the credentials in it stay current.
#[derive(Clone)]
pub struct Aws {
    config: SdkConfig,
    /// Absent if nothing names a region.
    region: Option<NamedRegion>,
    profile: String,
    /// A setting with which no call can succeed.
    problem: Option<NoCredentials>,
    /// A file that may name the region.
    broken_file: Option<BrokenFile>,
    /// A profile is named that no file has.
    no_profile: Option<NoCredentials>,
    chain: Arc<Chain>,
    identities: Arc<Identities>,
    common: Shared,
}

impl Aws {
    /// Reads the AWS configuration. Missing or expired credentials are no error here, because a proxy with static
    /// targets needs none; each use reports them. If environment and profile name no region, the first of `regions`
    /// (those of the configuration) is the one for the credentials' own calls, such as assuming a role. `profile` overrides
    /// `AWS_PROFILE` and the keys in the environment.
    pub async fn load(regions: &[String], profile: Option<&str>, common: &Shared) -> Self {
        let environment = Environment::of_this_process();
        let environment = match profile {
            Some(profile) => environment.with_profile(profile),
            None => environment,
        };
        Self::load_from(environment, regions, common).await
    }

    async fn load_from(environment: Environment, regions: &[String], common: &Shared) -> Self {
        let files = Files::named_by(environment);
        let (shared, broken_file) = read(files.clone()).await;
        warn_of_denied(files.clone()).await;
        let (client, unusable_bundle) = http_client(&files, &shared);
        let problem = unusable_bundle.or_else(|| unusable_endpoint(&files, &shared));
        let mut loader =
            CredentialLoader::new(Arc::new(move || new_config().http_client(client.clone())), files);
        loader.problem.clone_from(&problem);
        let region = find_region(&loader, &shared, regions).await;
        let no_profile = loader.no_profile(&shared);
        Self { problem, broken_file, no_profile, ..Self::with(loader, &shared, region, common).await }
    }

    async fn with(
        mut loader: CredentialLoader,
        shared: &SharedConfig,
        region: Option<NamedRegion>,
        common: &Shared,
    ) -> Self {
        let own_region = region.as_ref().map(|named| named.region.clone());
        let new_config = Arc::clone(&loader.new_config);
        loader.new_config = Arc::new(move || with_region(new_config(), own_region.clone()));
        let config = untraced(Box::pin(loader.sdk_config(shared).await.load())).await;
        let profile = loader.files.profile.clone();
        let chain = Arc::new(Chain::new(Arc::new(loader), common.logins.clone()));
        let config = signed_by(&config, &chain);
        Self {
            identities: identities(&config, &common.clock),
            config,
            region,
            profile,
            problem: None,
            broken_file: None,
            no_profile: None,
            chain,
            common: common.clone(),
        }
    }

    /// The same with the credentials of these roles: its own assume the first one, those of each role the next.
    #[must_use]
    pub fn assuming(self, roles: &[IamRole]) -> Self {
        if roles.is_empty() {
            return self;
        }
        let sts = AssumeRole::new(&self.config, &self.common.clock);
        let roles = AssumedRoles { base: self.chain, sts, roles: roles.to_vec() };
        let chain = Arc::new(Chain::new(Arc::new(roles), self.common.logins.clone()));
        let config = signed_by(&self.config, &chain);
        Self { identities: identities(&config, &self.common.clock), config, chain, ..self }
    }

    /// Lists the databases of `regions`, or of the AWS configuration's region if there are none, as those of `account`.
    ///
    /// # Errors
    /// The configuration names no region, an invalid one, or an endpoint or a CA bundle that cannot be used.
    pub fn discovery(&self, regions: &[String], account: Option<Arc<str>>) -> Result<Discovery, AwsError> {
        if let Some(problem) = &self.problem {
            return Err(AwsError::Unusable(problem.to_string()));
        }
        let own = if regions.is_empty() { Some(self.own_region()?) } else { None };
        let regions = own.as_ref().map_or_else(|| regions.to_vec(), |own| vec![own.region.to_string()]);
        if let Some(region) = regions.iter().find(|region| !is_region(region)) {
            let origin = own.map_or_else(|| "`rds.regions`".into(), |own| own.origin);
            return Err(AwsError::InvalidRegion { region: region.clone(), origin });
        }
        Ok(Discovery::new(&self.config, &regions, Arc::clone(&self.chain), &self.common.clock, account))
    }

    /// Makes IAM passwords with the credentials of this process.
    fn minter(&self) -> Minter {
        Minter::new(Arc::clone(&self.chain), Arc::clone(&self.identities))
    }

    /// The ARN of the current credentials, if STS returns it within 5 s. The minter uses the ARN from then on; it looks
    /// up the ARN of later credentials in the background.
    async fn identity(&self) -> Option<String> {
        let credentials = self.chain.current().await.ok()?;
        self.identities.look_up(&credentials).await
    }

    fn own_region(&self) -> Result<NamedRegion, AwsError> {
        self.region.clone().ok_or_else(|| match (&self.broken_file, &self.no_profile) {
            (Some(error), _) => AwsError::BrokenFile(error.to_string()),
            (None, Some(error)) => AwsError::Unusable(error.to_string()),
            (None, None) => AwsError::NoRegion { profile: self.profile.clone() },
        })
    }
}

fn identities(config: &SdkConfig, clock: &AwsClock) -> Arc<Identities> {
    let sts = aws_sdk_sts::config::Builder::from(config).interceptor(ReportDate(clock.clone()));
    Arc::new(Identities::new(aws_sdk_sts::Client::from_conf(sts.build())))
}

/// The profiles, and the error if a file has a syntax error.
async fn read(files: Files) -> (SharedConfig, Option<BrokenFile>) {
    let read = tokio::task::spawn_blocking(move || SharedConfig::read(&files)).await;
    match read {
        Ok(Ok(shared)) => (shared, None),
        Ok(Err(error)) => (SharedConfig::default(), Some(error)),
        Err(_) => (SharedConfig::default(), None),
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

#[cfg(test)]
mod tests;

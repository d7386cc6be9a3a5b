//! The configuration of the SDK: time limits, attempts, and whose credentials sign.

use std::sync::Arc;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

use super::credentials::Chain;

/// The limit for a TCP and TLS connection to an AWS API.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// The limit for one attempt at an API call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);

/// Attempts at an API call, with the SDK's exponential back-off in between.
const MAX_ATTEMPTS: u32 = 3;

/// The configuration with the limits of this program.
pub(super) fn new_config() -> ConfigLoader {
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

/// The configuration with these credentials.
pub(super) fn signed_by(config: &SdkConfig, chain: &Arc<Chain>) -> SdkConfig {
    let provider: Arc<dyn ProvideCredentials> = Arc::clone(chain) as _;
    config
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(provider))
        .identity_cache(IdentityCache::no_cache())
        .build()
}

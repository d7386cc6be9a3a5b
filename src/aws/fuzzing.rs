//! Gives `tests/fuzz` a discovery with the real SDK, whose HTTP client the fuzz target replaces. Only in builds of
//! cargo-fuzz.

use std::sync::Arc;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_rds::config::HttpClient;

use super::credentials::{CredentialLoader, Files, SharedConfig};
use super::region::NamedRegion;
use super::{Aws, AwsError, Discovery, Shared};

/// The discovery of one region. Its requests go to `http`, without retries.
///
/// Errors: none that an input could cause.
pub async fn discovery(http: impl HttpClient + Clone + 'static) -> Result<Discovery, AwsError> {
    let new_config = move || {
        aws_config::defaults(BehaviorVersion::latest())
            .credentials_provider(Credentials::new("AKIDFUZZ", "secret", None, None, "fuzz"))
            .retry_config(RetryConfig::disabled())
            .http_client(http.clone())
    };
    let loader = CredentialLoader::new(Arc::new(new_config), Files::absent("default"));
    let region = NamedRegion { region: Region::new("us-east-1"), origin: "a test".into() };
    Aws::with(loader, &SharedConfig::default(), Some(region), &Shared::default()).await.discovery(&[], None)
}

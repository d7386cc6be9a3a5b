//! The way for `tests/fuzz` into discovery, with the SDK as it is but for what carries its requests. Only in builds of
//! cargo-fuzz.

use std::sync::Arc;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_rds::config::HttpClient;

use super::credentials::{Files, Source};
use super::{Aws, AwsError, Discovery};

/// The discovery of one region whose requests go to `http`. Nothing is asked twice.
///
/// Errors: none that an input could cause.
pub async fn discovery(http: impl HttpClient + Clone + 'static) -> Result<Discovery, AwsError> {
    let loader = move || {
        aws_config::defaults(BehaviorVersion::latest())
            .credentials_provider(Credentials::new("AKIDFUZZ", "secret", None, None, "fuzz"))
            .retry_config(RetryConfig::disabled())
            .http_client(http.clone())
    };
    let files = Files {
        config: "/nonexistent/config".into(),
        credentials: "/nonexistent/credentials".into(),
        sessions: Vec::new(),
        profile: "default".into(),
        keys_in_environment: false,
    };
    let source = Source { loader: Arc::new(loader), files };
    Aws::with(source, Some(Region::new("us-east-1"))).await.discovery(&[])
}

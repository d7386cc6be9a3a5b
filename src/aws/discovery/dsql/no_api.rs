//! The API of Aurora DSQL in a build without the feature `dsql`: it has no clusters.
#![expect(clippy::unused_self, reason = "the API with the feature has a client")]

use std::future::ready;

use aws_config::SdkConfig;

use super::super::call_error::CallError;
use super::cluster::Cluster;
use crate::aws::credentials::CredentialSource;
use crate::catalog::ListedAt;

/// Makes no calls.
#[derive(Clone)]
pub(in crate::aws::discovery) struct Api;

impl Api {
    pub(in crate::aws::discovery) fn new(_: &SdkConfig, _: &str) -> Self {
        Self
    }

    pub(super) fn identifiers(
        &self,
        _: &str,
        _: &CredentialSource,
    ) -> impl Future<Output = Result<Vec<String>, CallError>> {
        ready(Ok(Vec::new()))
    }

    pub(super) fn cluster(
        &self,
        _: &str,
        _: &str,
        _: &CredentialSource,
        _: ListedAt,
    ) -> impl Future<Output = Result<Option<Cluster>, CallError>> {
        ready(Ok(None))
    }
}

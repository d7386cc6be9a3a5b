//! The calls of the Aurora DSQL API.

use aws_config::{Region, SdkConfig};
use aws_sdk_dsql::Client;
use aws_sdk_dsql::config::Builder;
use aws_sdk_dsql::operation::get_cluster::GetClusterError;

use super::super::call_error::CallError;
use super::super::rds_api::{Page, all_pages};
use super::cluster::Cluster;
use crate::aws::credentials::CredentialSource;
use crate::catalog::{ListedAt, Tag};

/// Clusters in a page: the maximum (Amazon Aurora DSQL API Reference, `ListClusters`).
const PAGE_SIZE: i32 = 100;

/// Makes the calls in one region.
#[derive(Clone)]
pub(in crate::aws::discovery) struct Api(Client);

impl Api {
    pub(in crate::aws::discovery) fn new(config: &SdkConfig, region: &str) -> Self {
        Self(Client::from_conf(Builder::from(config).region(Region::new(region.to_owned())).build()))
    }

    /// The identifiers of all clusters. `action` is the name of the call in errors.
    pub(super) async fn identifiers(
        &self,
        action: &str,
        source: &CredentialSource,
    ) -> Result<Vec<String>, CallError> {
        all_pages(|token| async {
            let request = self.0.list_clusters().max_results(PAGE_SIZE).set_next_token(token);
            let response = request.send().await.map_err(|error| CallError::new(action, source, &error))?;
            let entries = response.clusters.into_iter().map(|cluster| cluster.identifier).collect();
            Ok(Page { entries, next: response.next_token })
        })
        .await
    }

    /// The cluster; absent if it was deleted after it was listed. `action` is the name of the call in errors.
    pub(super) async fn cluster(
        &self,
        action: &str,
        identifier: &str,
        source: &CredentialSource,
        listed_at: ListedAt,
    ) -> Result<Option<Cluster>, CallError> {
        let found = match self.0.get_cluster().identifier(identifier).send().await {
            Ok(found) => found,
            Err(error) => {
                let is_gone =
                    error.as_service_error().is_some_and(GetClusterError::is_resource_not_found_exception);
                return if is_gone { Ok(None) } else { Err(CallError::new(action, source, &error)) };
            }
        };
        let mut tags: Vec<_> =
            found.tags.into_iter().flatten().map(|(name, value)| Tag { name, value }).collect();
        tags.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Some(Cluster {
            identifier: found.identifier,
            arn: found.arn,
            status: found.status.as_str().to_owned(),
            endpoint: found.endpoint,
            tags,
            listed_at,
        }))
    }
}

//! The calls of the RDS API about RDS Proxy.

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbProxy, DbProxyEndpoint, DbProxyTarget, Tag};

use super::call_error::CallError;
use super::rds_api::{PAGE_SIZE, Page, all_pages};
use crate::aws::credentials::CredentialSource;

/// The action in the IAM policy that lists proxies.
pub(super) const PROXIES: &str = "rds:DescribeDBProxies";
/// The action that lists their further endpoints.
pub(super) const ENDPOINTS: &str = "rds:DescribeDBProxyEndpoints";
/// The action that lists the databases of a proxy.
pub(super) const TARGETS: &str = "rds:DescribeDBProxyTargets";
/// The action that lists the tags of a proxy, which no other call returns.
pub(super) const TAGS: &str = "rds:ListTagsForResource";

/// Makes the calls in one region.
#[derive(Clone, Copy)]
pub(super) struct Calls<'a> {
    pub(super) client: &'a Client,
    pub(super) source: &'a CredentialSource,
}

impl Calls<'_> {
    /// All proxies, those of other engines included: the call has no filter.
    pub(super) async fn proxies(self) -> Result<Vec<DbProxy>, CallError> {
        all_pages(|marker| async {
            let request = self.client.describe_db_proxies().max_records(PAGE_SIZE).set_marker(marker);
            let failed = |error| CallError::new(PROXIES, self.source, &error);
            let response = request.send().await.map_err(failed)?;
            Ok(Page { entries: response.db_proxies.unwrap_or_default(), next: response.marker })
        })
        .await
    }

    /// The endpoints of all proxies.
    pub(super) async fn endpoints(self) -> Result<Vec<DbProxyEndpoint>, CallError> {
        all_pages(|marker| async {
            let request = self.client.describe_db_proxy_endpoints().max_records(PAGE_SIZE).set_marker(marker);
            let failed = |error| CallError::new(ENDPOINTS, self.source, &error);
            let response = request.send().await.map_err(failed)?;
            Ok(Page { entries: response.db_proxy_endpoints.unwrap_or_default(), next: response.marker })
        })
        .await
    }

    /// The databases that the proxy of this name leads to.
    pub(super) async fn targets(self, proxy: &str) -> Result<Vec<DbProxyTarget>, CallError> {
        all_pages(|marker| async {
            let request = self.client.describe_db_proxy_targets().db_proxy_name(proxy);
            let failed = |error| CallError::new(TARGETS, self.source, &error);
            let response = request.max_records(PAGE_SIZE).set_marker(marker).send().await.map_err(failed)?;
            Ok(Page { entries: response.targets.unwrap_or_default(), next: response.marker })
        })
        .await
    }

    /// The tags of the proxy with this ARN.
    pub(super) async fn tags(self, arn: &str) -> Result<Vec<Tag>, CallError> {
        let failed = |error| CallError::new(TAGS, self.source, &error);
        let response =
            self.client.list_tags_for_resource().resource_name(arn).send().await.map_err(failed)?;
        Ok(response.tag_list.unwrap_or_default())
    }
}

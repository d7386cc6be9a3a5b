//! The endpoints of RDS Proxy.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbInstance, DbProxy, DbProxyEndpoint, DbProxyTarget, IamAuthMode, Tag};

use super::answer::{Answer, Unavailable};
use super::call_error::CallError;
use super::clusters::Clusters;
use super::endpoint::{address, region_of};
use super::proxy_calls::{Calls, ENDPOINTS, PROXIES, TAGS, TARGETS};
use super::related;
use super::resource;
use super::skipped::Remark;
use super::tags::{database, guard_rails, local_port, tags};
use crate::aws::credentials::CredentialSource;
use crate::catalog::{Discovered, IamService, ListedAt, Related};
use crate::tls::Roots;

/// The port of every endpoint with the PostgreSQL protocol (Amazon RDS User Guide, "Connecting to a database through RDS Proxy").
pub(super) const PORT: i32 = 5432;

/// The engine family of that protocol.
const POSTGRESQL: &str = "POSTGRESQL";

/// The proxies of a region.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    listed: Answer<DbProxy>,
    endpoints: Answer<DbProxyEndpoint>,
    /// By the ARN of the proxy. A proxy without an entry cannot be used, because a blocked tag could be missing.
    details: BTreeMap<String, Details>,
}

/// What the list of proxies does not contain.
#[derive(Clone, Default)]
struct Details {
    tags: Answer<Tag>,
    /// The databases that the proxy leads to.
    targets: Answer<DbProxyTarget>,
}

/// A proxy that accepts IAM tokens.
struct Usable<'a> {
    name: &'a str,
    arn: &'a str,
    host: Option<&'a str>,
}

/// One endpoint of a proxy.
struct Endpoint<'a> {
    name: String,
    host: Option<&'a str>,
    listed_at: ListedAt,
}

/// All proxies that the AWS identity may list. The calls are optional: one that is refused, unknown or throttled keeps its answer
/// in `last`. Only the first is made where no proxy accepts IAM tokens.
pub(super) async fn list(
    client: &Client,
    source: &CredentialSource,
    region: &str,
    last: Proxies,
) -> Result<(Proxies, Vec<Unavailable>), CallError> {
    let calls = Calls { client, source };
    let Proxies { mut listed, mut endpoints, details: mut known } = last;
    let (mut details, mut unavailable) = (BTreeMap::new(), Vec::new());
    listed.replace(PROXIES, &mut unavailable, calls.proxies()).await?;
    let usable: Vec<_> = postgres(&listed).filter_map(|proxy| check(proxy, region).ok()).collect();
    if !usable.is_empty() {
        endpoints.replace(ENDPOINTS, &mut unavailable, calls.endpoints()).await?;
    }
    for proxy in usable {
        if let Some(found) = look_up(calls, &proxy, known.remove(proxy.arn), &mut unavailable).await? {
            details.insert(proxy.arn.to_owned(), found);
        }
    }
    Ok((Proxies { listed, endpoints, details }, unavailable))
}

/// The details of a proxy; absent if one of the calls has never been answered.
async fn look_up(
    calls: Calls<'_>,
    proxy: &Usable<'_>,
    known: Option<Details>,
    unavailable: &mut Vec<Unavailable>,
) -> Result<Option<Details>, CallError> {
    let is_known = known.is_some();
    let Details { mut tags, mut targets } = known.unwrap_or_default();
    let has_tags = tags.replace(TAGS, unavailable, calls.tags(proxy.arn)).await?;
    let has_targets = targets.replace(TARGETS, unavailable, calls.targets(proxy.name)).await?;
    Ok((is_known || (has_tags && has_targets)).then_some(Details { tags, targets }))
}

impl Proxies {
    /// The endpoints that accept IAM tokens. Adds a remark for each of the others. `instances` and `clusters` are those of the
    /// region.
    pub(super) fn usable(
        &self,
        instances: &[DbInstance],
        clusters: &Clusters,
        region: &str,
        remarks: &mut BTreeMap<String, Remark>,
    ) -> Vec<Discovered> {
        let mut found = Vec::new();
        for proxy in postgres(&self.listed) {
            let usable = match check(proxy, region) {
                Ok(usable) => usable,
                Err(remark) => {
                    remarks.insert(default_endpoint(proxy.db_proxy_name().unwrap_or_default()), remark);
                    continue;
                }
            };
            if let Some(details) = self.details.get(usable.arn) {
                let related = leads_to(&details.targets.entries, instances, clusters);
                found.extend(self.describe(&usable, details, region, &related, remarks));
            }
        }
        found
    }

    /// The proxy of this name, of any engine.
    pub(super) fn find(&self, name: &str) -> Option<&DbProxy> {
        self.listed.entries.iter().find(|proxy| proxy.db_proxy_name() == Some(name))
    }

    /// The proxies of other engine families, in any case.
    pub(super) fn others(&self) -> impl Iterator<Item = &DbProxy> {
        self.listed.entries.iter().filter(|proxy| !is_postgres(proxy))
    }

    /// The endpoints of a proxy, with its tags.
    fn describe(
        &self,
        proxy: &Usable<'_>,
        details: &Details,
        region: &str,
        related: &[Arc<Related>],
        remarks: &mut BTreeMap<String, Remark>,
    ) -> Vec<Discovered> {
        let tags = tags(&details.tags.entries);
        let default = default_endpoint(proxy.name);
        let local_port = local_port(&default, &tags, remarks);
        let guard_rails = guard_rails(&default, &tags, remarks);
        let mut found = Vec::new();
        for Endpoint { name, host, listed_at } in self.endpoints(proxy) {
            match address(host, Some(PORT)) {
                Ok(address) => found.push(Discovered {
                    identifier: None,
                    address,
                    region: region.to_owned(),
                    resource: resource::of_proxy(Some(proxy.arn), Some(POSTGRESQL)),
                    service: IamService::Rds,
                    account: None,
                    roots: Roots::Amazon,
                    database: database(&tags, None),
                    // Two listeners cannot share the local port.
                    local_port: local_port.filter(|_| name == default),
                    guard_rails: guard_rails.clone(),
                    tags: tags.clone(),
                    related: related.to_vec(),
                    listed_at: listed_at.older(details.tags.listed_at).older(details.targets.listed_at),
                    name,
                }),
                Err(remark) => {
                    remarks.insert(name, remark);
                }
            }
        }
        found
    }

    fn endpoints<'a>(&'a self, proxy: &Usable<'a>) -> Vec<Endpoint<'a>> {
        let (name, listed_at) = (default_endpoint(proxy.name), self.listed.listed_at);
        let mut endpoints = vec![Endpoint { name: name.clone(), host: proxy.host, listed_at }];
        // The list has the default endpoint too.
        let further = self.endpoints.entries.iter().filter(|endpoint| {
            endpoint.db_proxy_name() == Some(proxy.name) && endpoint.is_default() != Some(true)
        });
        endpoints.extend(further.filter_map(|endpoint| {
            Some(Endpoint {
                name: format!("{name}:{}", endpoint.db_proxy_endpoint_name()?),
                host: endpoint.endpoint(),
                listed_at: listed_at.older(self.endpoints.listed_at),
            })
        }));
        endpoints
    }
}

fn default_endpoint(proxy: &str) -> String {
    format!("{proxy}:proxy")
}

/// The proxies with the PostgreSQL protocol.
fn postgres(listed: &Answer<DbProxy>) -> impl Iterator<Item = &DbProxy> {
    listed.entries.iter().filter(|proxy| is_postgres(proxy))
}

fn is_postgres(proxy: &DbProxy) -> bool {
    proxy.engine_family().is_some_and(|family| family.eq_ignore_ascii_case(POSTGRESQL))
}

/// A proxy that can be used, or why it cannot.
fn check<'a>(proxy: &'a DbProxy, region: &str) -> Result<Usable<'a>, Remark> {
    let name =
        proxy.db_proxy_name().filter(|name| !name.is_empty()).ok_or(Remark::Incomplete("identifier"))?;
    let arn = proxy.db_proxy_arn().filter(|arn| !arn.is_empty()).ok_or(Remark::Incomplete("ARN"))?;
    region_of(Some(arn), region)?;
    if !has_iam(proxy) {
        return Err(Remark::ProxyIamOff);
    }
    Ok(Usable { name, arn, host: proxy.endpoint() })
}

/// Whether the proxy accepts IAM tokens: of the users of one of its secrets, or by default (Amazon RDS API Reference,
/// `UserAuthConfigInfo` and `DefaultAuthScheme`).
fn has_iam(proxy: &DbProxy) -> bool {
    let accepts = |mode: &IamAuthMode| matches!(mode, IamAuthMode::Required | IamAuthMode::Enabled);
    proxy.default_auth_scheme() == Some("IAM_AUTH")
        || proxy.auth().iter().any(|secret| secret.iam_auth().is_some_and(accepts))
}

/// The instances and clusters that a proxy with these targets can lead to. A target of a cluster names it, and each of its
/// members is another target.
fn leads_to(targets: &[DbProxyTarget], instances: &[DbInstance], clusters: &Clusters) -> Vec<Arc<Related>> {
    let ids = targets.iter().flat_map(|target| [target.rds_resource_id(), target.tracked_cluster_id()]);
    let ids: Vec<_> = ids.flatten().collect();
    let is_target = |id: Option<&str>| id.is_some_and(|id| ids.contains(&id));
    let instances: Vec<_> = instances
        .iter()
        .filter(|instance| {
            is_target(instance.db_instance_identifier()) || is_target(instance.db_cluster_identifier())
        })
        .collect();
    let mut cluster_ids: Vec<_> =
        instances.iter().filter_map(|instance| instance.db_cluster_identifier()).collect();
    cluster_ids.extend(&ids);
    cluster_ids.sort_unstable();
    cluster_ids.dedup();
    let clusters = cluster_ids.into_iter().filter_map(|id| clusters.find(id)).map(related::of_cluster);
    clusters.chain(instances.into_iter().map(related::of_instance)).collect()
}

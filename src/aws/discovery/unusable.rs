//! The databases that a listing skips, with their properties.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{DbCluster, DbInstance, DbProxy};

use super::clusters::Clusters;
use super::endpoint::address;
use super::proxies::{PORT, Proxies};
use super::resource;
use super::skipped::Remark;
use crate::catalog::{EndpointKind, Resource, Skipped};
use crate::net::HostPort;

/// The properties of a database that is no target.
pub(super) struct Unusable {
    address: Option<HostPort>,
    database: Option<String>,
    resource: Option<Resource>,
}

/// The databases of a listing with a remark that skips them, by their names.
pub(super) fn skipped(
    remarks: &BTreeMap<String, Remark>,
    instances: &[DbInstance],
    clusters: &Clusters,
    proxies: &Proxies,
    region: &str,
) -> Vec<Skipped> {
    let skipped = remarks.iter().filter(|(_, remark)| remark.skips());
    let describe = |(name, remark): (&String, &Remark)| {
        let found = match name.split_once(':') {
            None => instances
                .iter()
                .find(|instance| instance.db_instance_identifier().unwrap_or_default() == name)
                .map(of_instance),
            Some((proxy, "proxy")) => proxies.find(proxy).map(of_proxy),
            Some((proxy, kind)) if kind.starts_with("proxy:") => {
                proxies.find(proxy).map(|proxy| Unusable { address: None, ..of_proxy(proxy) })
            }
            Some((cluster, kind)) => clusters.find(cluster).map(|cluster| of_cluster(cluster, kind)),
        };
        let found = found.unwrap_or(Unusable { address: None, database: None, resource: None });
        found.skipped(name.clone(), region, remark)
    };
    skipped.map(describe).chain(proxies.others().map(|proxy| of_other_proxy(proxy, region))).collect()
}

impl Unusable {
    /// The database with its name, its region and the reason.
    pub(super) fn skipped(self, name: String, region: &str, remark: &Remark) -> Skipped {
        let Self { address, database, resource } = self;
        let (region, reason) = (Some(region.to_owned()), remark.to_string());
        Skipped { name, address, region, database, resource, reason }
    }
}

/// An instance.
pub(super) fn of_instance(instance: &DbInstance) -> Unusable {
    let endpoint = instance.endpoint();
    Unusable {
        address: endpoint.and_then(|endpoint| address(endpoint.address(), endpoint.port()).ok()),
        database: instance.db_name().map(str::to_owned),
        resource: Some(resource::of_instance(instance, None)),
    }
}

/// An endpoint of a cluster. `kind` is the part of its name behind the cluster.
pub(super) fn of_cluster(cluster: &DbCluster, kind: &str) -> Unusable {
    let (kind, host) = match kind {
        "writer" => (EndpointKind::Writer, cluster.endpoint()),
        "reader" => (EndpointKind::Reader, cluster.reader_endpoint()),
        _ => (EndpointKind::Custom, None),
    };
    Unusable {
        address: address(host, cluster.port()).ok(),
        database: cluster.database_name().map(str::to_owned),
        resource: Some(resource::of_cluster(cluster, kind)),
    }
}

fn of_proxy(proxy: &DbProxy) -> Unusable {
    Unusable {
        address: address(proxy.endpoint(), Some(PORT)).ok(),
        database: None,
        resource: Some(resource::of_proxy(proxy.db_proxy_arn(), proxy.engine_family())),
    }
}

fn of_other_proxy(proxy: &DbProxy, region: &str) -> Skipped {
    let family = proxy.engine_family().unwrap_or("unknown").to_lowercase();
    let name = format!("{}:proxy", proxy.db_proxy_name().unwrap_or_default());
    // Its port depends on the engine.
    Unusable { address: None, ..of_proxy(proxy) }.skipped(name, region, &Remark::Engine(family))
}

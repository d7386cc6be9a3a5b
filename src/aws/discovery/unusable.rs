//! What is known about the databases that a listing skips.

use std::collections::BTreeMap;

use aws_sdk_rds::types::{DbCluster, DbInstance, DbProxy};

use super::clusters::Clusters;
use super::endpoint::address;
use super::proxies::{PORT, Proxies};
use super::resource;
use super::skipped::Remark;
use crate::catalog::{EndpointKind, Skipped};
use crate::net::HostPort;

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
                proxies.find(proxy).map(|proxy| Skipped { address: None, ..of_proxy(proxy) })
            }
            Some((cluster, kind)) => clusters.find(cluster).map(|cluster| of_cluster(cluster, kind)),
        };
        let found = found.unwrap_or_else(|| unnamed(None));
        Skipped { name: name.clone(), region: Some(region.to_owned()), reason: remark.to_string(), ..found }
    };
    skipped.map(describe).chain(proxies.others().map(|proxy| of_other_proxy(proxy, region))).collect()
}

fn unnamed(address: Option<HostPort>) -> Skipped {
    Skipped {
        name: String::new(),
        address,
        region: None,
        database: None,
        resource: None,
        reason: String::new(),
    }
}

/// An instance, without name, region and reason.
pub(super) fn of_instance(instance: &DbInstance) -> Skipped {
    let endpoint = instance.endpoint();
    let address = endpoint.and_then(|endpoint| address(endpoint.address(), endpoint.port()).ok());
    Skipped {
        database: instance.db_name().map(str::to_owned),
        resource: Some(resource::of_instance(instance)),
        ..unnamed(address)
    }
}

/// An endpoint of a cluster, without name, region and reason. `kind` is the part of its name behind the cluster.
pub(super) fn of_cluster(cluster: &DbCluster, kind: &str) -> Skipped {
    let (kind, host) = match kind {
        "writer" => (EndpointKind::Writer, cluster.endpoint()),
        "reader" => (EndpointKind::Reader, cluster.reader_endpoint()),
        _ => (EndpointKind::Custom, None),
    };
    Skipped {
        database: cluster.database_name().map(str::to_owned),
        resource: Some(resource::of_cluster(cluster, kind)),
        ..unnamed(address(host, cluster.port()).ok())
    }
}

fn of_proxy(proxy: &DbProxy) -> Skipped {
    let address = address(proxy.endpoint(), Some(PORT)).ok();
    let resource = resource::of_proxy(proxy.db_proxy_arn(), proxy.engine_family());
    Skipped { resource: Some(resource), ..unnamed(address) }
}

fn of_other_proxy(proxy: &DbProxy, region: &str) -> Skipped {
    let family = proxy.engine_family().unwrap_or("unknown").to_lowercase();
    Skipped {
        name: format!("{}:proxy", proxy.db_proxy_name().unwrap_or_default()),
        // Its port depends on the engine.
        address: None,
        region: Some(region.to_owned()),
        reason: Remark::Engine(family).to_string(),
        ..of_proxy(proxy)
    }
}

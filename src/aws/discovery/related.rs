//! The resources whose blocked tags apply to a database too: the cluster of an instance, and the instances that an endpoint of
//! a cluster or of an RDS Proxy can lead to. A failover or a restart can make every member the writer.

use std::sync::Arc;

use aws_sdk_rds::types::{DbCluster, DbClusterEndpoint, DbInstance};

use super::tags::tags;
use crate::catalog::{Related, RelatedKind};

/// The cluster of an instance.
pub(super) fn of_cluster(cluster: &DbCluster) -> Arc<Related> {
    let name = cluster.db_cluster_identifier().unwrap_or_default().to_owned();
    Arc::new(Related { kind: RelatedKind::Cluster, name, tags: tags(cluster.tag_list()) })
}

/// The members of a cluster, those without an endpoint or without IAM authentication included.
pub(super) fn members(cluster: &DbCluster, instances: &[DbInstance]) -> Vec<Arc<Related>> {
    instances.iter().filter(|instance| is_member(instance, cluster)).map(of_instance).collect()
}

/// An instance that an endpoint leads to.
pub(super) fn of_instance(instance: &DbInstance) -> Arc<Related> {
    let name = instance.db_instance_identifier().unwrap_or_default().to_owned();
    Arc::new(Related { kind: RelatedKind::Instance, name, tags: tags(instance.tag_list()) })
}

/// Whether a custom endpoint can lead to this member. A list of static members is complete; without one every member but the
/// excluded ones is in the endpoint, also a new one (Amazon RDS API Reference, `CreateDBClusterEndpoint`).
pub(super) fn leads_to(endpoint: &DbClusterEndpoint, member: &Related) -> bool {
    let lists = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case(&member.name));
    if endpoint.static_members().is_empty() {
        !lists(endpoint.excluded_members())
    } else {
        lists(endpoint.static_members())
    }
}

/// Either list may be the newer one.
fn is_member(instance: &DbInstance, cluster: &DbCluster) -> bool {
    let (name, cluster_name) = (instance.db_instance_identifier(), cluster.db_cluster_identifier());
    let listed = cluster.db_cluster_members().iter().any(|member| member.db_instance_identifier() == name);
    listed || (cluster_name.is_some() && instance.db_cluster_identifier() == cluster_name)
}

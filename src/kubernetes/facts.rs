//! Facts about a tunnel for people: the cluster, the rights there, and the pods.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use super::access_review::{Need, missing_rights};
use super::cluster::Access;
use super::error::TunnelError;
use super::pods::{candidates, diagnose, label_selector, list};
use super::tunnel::Tunnel;

/// The cluster of a kubeconfig.
pub struct ClusterFacts {
    /// `https://HOST:PORT` of the API server.
    pub server: String,
    /// The namespace of the pods.
    pub namespace: String,
    /// The command of the credential plugin.
    pub plugin: Option<String>,
    /// When the client certificate expires, if there is one.
    pub certificate_expires: Option<SystemTime>,
    /// Whether TLS or a loopback address proves that the API server is the right one.
    pub verified: bool,
}

/// A right that the user of the kubeconfig lacks.
pub struct MissingRight {
    /// The error of a connection that needs it, with the remedy.
    pub error: String,
    /// Only Kubernetes 1.35 and later check it.
    pub is_new: bool,
}

impl Tunnel {
    /// Reads the kubeconfig, and runs its credential plugin. The error names the remedy.
    pub async fn cluster_facts(&self) -> io::Result<ClusterFacts> {
        let access = self.access().await?;
        Ok(ClusterFacts {
            server: access.server.clone(),
            namespace: access.namespace.clone(),
            plugin: access.plugin.clone(),
            certificate_expires: access.certificate_expires,
            verified: access.verified,
        })
    }

    /// The rights that this tunnel needs and the user lacks; absent if the API server does not tell.
    pub async fn missing_rights(&self) -> io::Result<Option<Vec<MissingRight>>> {
        let access = self.access().await?;
        let missing = missing_rights(&access, &self.settings.pods, self.timeouts.answer).await;
        let right = |(error, need): (TunnelError, Need)| MissingRight {
            error: error.to_string(),
            is_new: need == Need::Newer,
        };
        Ok(missing.map(|missing| missing.into_iter().map(right).collect()))
    }

    /// The names of the ready pods. It is an error if there is none.
    pub async fn ready_pods(&self) -> io::Result<Vec<String>> {
        Ok(self.list_ready().await?)
    }

    async fn list_ready(&self) -> Result<Vec<String>, TunnelError> {
        let access = self.access().await?;
        let labels = label_selector(&access, &self.settings.pods, &self.timeouts).await?;
        let pods = candidates(list(&access, &labels, &self.timeouts).await?.pods, 0);
        let ready: Vec<_> = pods.into_iter().filter(|pod| pod.ready).map(|pod| pod.name).collect();
        if ready.is_empty() { Err(diagnose(&access, &labels, &self.timeouts).await) } else { Ok(ready) }
    }

    async fn access(&self) -> Result<Arc<Access>, TunnelError> {
        self.cluster.access(&self.timeouts).await
    }
}

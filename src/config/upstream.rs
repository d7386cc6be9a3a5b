//! Upstream proxies: the way to each and TLS towards it.

use super::fault::{Fault, KeyPath};
use super::pair;
use super::settings::{Upstream, UpstreamRoute};
use super::tls::Connectors;
use super::written;
use crate::catalog::{Pods, PortForward};
use crate::tls::SslMode;

/// The port of a server that was installed without a thought.
const REMOTE_PORT: u16 = 8000;

/// One entry of `upstream_proxies`.
pub(super) fn resolve(
    name: String,
    written: written::Upstream,
    connectors: &Connectors<'_>,
) -> Result<Upstream, Fault> {
    let section = KeyPath::of(&["upstream_proxies", &name]);
    let (route, mode) = match (written.host, written.port_forward) {
        (Some(host), None) => (UpstreamRoute::Host(host.0), SslMode::Require),
        (None, Some(forward)) => {
            let forward = port_forward(&section.key("port_forward"), forward, connectors)?;
            // The tunnel is TLS to the Kubernetes API already.
            (UpstreamRoute::PortForward(forward), SslMode::Disable)
        }
        (Some(_), Some(_)) => {
            let reason = "`host` and `port_forward` are two ways to one proxy; remove one of them";
            return Err(Fault::of_key(section.key("port_forward"), reason));
        }
        (None, None) => {
            let reason = "one of `host` and `port_forward` is needed, to say how the proxy is reached";
            return Err(Fault::of_key(section, reason));
        }
    };
    let tls = connectors.of_section(&section.key("ssl"), &written.ssl, mode)?;
    Ok(Upstream { name, route, tls, aws_auth_only: written.aws_auth_only.unwrap_or(false) })
}

fn port_forward(
    section: &KeyPath,
    written: written::PortForward,
    connectors: &Connectors<'_>,
) -> Result<PortForward, Fault> {
    let kube_config = written.kube_config.as_ref();
    let kube_config = pair::file(&section.key("kube_config"), kube_config, connectors.around)?;
    let pods = pods(section, written.deployment, written.selector, written.service)?;
    Ok(PortForward {
        kube_config,
        context: written.context,
        namespace: written.namespace,
        pods,
        local_port: written.local_port.map(|port| port.0),
        remote_port: written.remote_port.map_or(REMOTE_PORT, |port| port.0),
    })
}

fn pods(
    section: &KeyPath,
    deployment: Option<String>,
    selector: Option<String>,
    service: Option<String>,
) -> Result<Pods, Fault> {
    let mut ways = [
        deployment.map(|name| ("deployment", Pods::Deployment(name))),
        selector.map(|labels| ("selector", Pods::Selector(labels))),
        service.map(|name| ("service", Pods::Service(name))),
    ]
    .into_iter()
    .flatten();
    match (ways.next(), ways.next()) {
        (Some((_, pods)), None) => Ok(pods),
        (Some((first, _)), Some((second, _))) => {
            let reason =
                format!("`{first}` and `{second}` both say which pods are meant; remove one of them");
            Err(Fault::of_key(section.key(second), reason))
        }
        (None, _) => {
            let reason =
                "one of `deployment`, `selector` and `service` is needed, to say which pods are meant";
            Err(Fault::of_key(section.clone(), reason))
        }
    }
}

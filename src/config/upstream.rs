//! Resolves upstream proxies: transport and TLS.

use super::cert_pair;
use super::connectors::Connectors;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw;
use super::settings::{Upstream, UpstreamTransport};
use crate::catalog::{Pods, PortForward};
use crate::tls::SslMode;

/// The port of a server with the default settings.
const REMOTE_PORT: u16 = 8000;

/// The settings of one entry of `upstream_proxies`.
pub(super) fn resolve(
    name: String,
    raw: raw::Upstream,
    connectors: &Connectors<'_>,
) -> Result<Upstream, KeyError> {
    let section = KeyPath::of(&["upstream_proxies", &name]);
    let (transport, mode) = match (raw.host, raw.port_forward) {
        (Some(host), None) => (UpstreamTransport::Host(host.0), SslMode::Require),
        (None, Some(forward)) => {
            let forward = port_forward(&section.key("port_forward"), forward, connectors)?;
            // The tunnel has TLS to the Kubernetes API, so a server without TLS is no danger, and one with TLS uses it.
            (UpstreamTransport::PortForward(forward), SslMode::Prefer)
        }
        (Some(_), Some(_)) => {
            let reason = "`host` and `port_forward` exclude each other; remove one of them";
            return Err(KeyError::of_key(section.key("port_forward"), reason));
        }
        (None, None) => {
            let reason = "`host` and `port_forward` are missing; set one of them to reach the proxy";
            return Err(KeyError::of_key(section, reason));
        }
    };
    let tls = connectors.of_section(&section.key("ssl"), &raw.ssl, mode)?;
    Ok(Upstream {
        name,
        transport,
        tls,
        aws_auth_only: raw.aws_auth_only.unwrap_or(false),
        require_auth: raw.require_auth.map(|methods| methods.0),
    })
}

fn port_forward(
    section: &KeyPath,
    raw: raw::PortForward,
    connectors: &Connectors<'_>,
) -> Result<PortForward, KeyError> {
    let kube_config = raw.kube_config.as_ref();
    let kube_config = cert_pair::file(&section.key("kube_config"), kube_config, connectors.environment)?;
    let pods = pods(section, raw.deployment, raw.selector, raw.service)?;
    Ok(PortForward {
        kube_config,
        context: raw.context,
        namespace: raw.namespace,
        pods,
        local_port: raw.local_port.map(|port| port.0),
        remote_port: raw.remote_port.map_or(REMOTE_PORT, |port| port.0),
    })
}

fn pods(
    section: &KeyPath,
    deployment: Option<String>,
    selector: Option<String>,
    service: Option<String>,
) -> Result<Pods, KeyError> {
    let mut set = [
        deployment.map(|name| ("deployment", Pods::Deployment(name))),
        selector.map(|labels| ("selector", Pods::Selector(labels))),
        service.map(|name| ("service", Pods::Service(name))),
    ]
    .into_iter()
    .flatten();
    match (set.next(), set.next()) {
        (Some((_, pods)), None) => Ok(pods),
        (Some((first, _)), Some((second, _))) => {
            let reason = format!("`{first}` and `{second}` exclude each other; remove one of them");
            Err(KeyError::of_key(section.key(second), reason))
        }
        (None, _) => {
            let reason =
                "`deployment`, `selector` and `service` are missing; set one of them to choose the pods";
            Err(KeyError::of_key(section.clone(), reason))
        }
    }
}

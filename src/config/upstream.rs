//! Resolves upstream proxies: transport and TLS.

use std::sync::Arc;

use super::cert_pair;
use super::connectors::Connectors;
use super::error::ConfigError;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw;
use super::scalars::Parsed;
use super::settings::{Upstream, UpstreamTransport};
use crate::catalog::{Pods, PortForward};
use crate::net::Address;
use crate::tls::SslMode;

/// The port of a server with the default settings.
const REMOTE_PORT: u16 = 8000;

/// An entry of `upstream_proxies` without its files.
struct Checked {
    transport: UpstreamTransport,
    /// The TLS mode where the entry sets none.
    default_mode: SslMode,
    /// An environment variable in the path of the kubeconfig that is not set.
    unset: Option<KeyError>,
}

/// Checks one entry of `upstream_proxies` that is not used: all but its files.
pub(super) fn check(name: &str, raw: raw::Upstream, connectors: &Connectors<'_>) -> Result<(), KeyError> {
    keys(name, raw.host, raw.port_forward, &raw.ssl, connectors).map(drop)
}

/// The settings of one entry of `upstream_proxies`. A file that cannot be used is an error in these settings; `locate` adds
/// its position.
pub(super) fn resolve(
    name: String,
    raw: raw::Upstream,
    connectors: &Connectors<'_>,
    locate: &dyn Fn(KeyError) -> ConfigError,
) -> Result<Upstream, KeyError> {
    let checked = keys(&name, raw.host, raw.port_forward, &raw.ssl, connectors)?;
    let ssl = KeyPath::of(&["upstream_proxies", &name, "ssl"]);
    let tls = match checked.unset {
        Some(error) => Err(error),
        None => connectors.of_section(&ssl, &raw.ssl, checked.default_mode),
    };
    Ok(Upstream {
        name,
        transport: checked.transport,
        tls: tls.map_err(|error| Arc::new(locate(error))),
        aws_auth_only: raw.aws_auth_only.unwrap_or(false),
        require_auth: raw.require_auth.map(|methods| methods.0),
    })
}

fn keys(
    name: &str,
    host: Option<Parsed<Address>>,
    forward: Option<raw::PortForward>,
    ssl: &raw::Ssl,
    connectors: &Connectors<'_>,
) -> Result<Checked, KeyError> {
    let section = KeyPath::of(&["upstream_proxies", name]);
    let (transport, default_mode, unset) = match (host, forward) {
        (Some(host), None) => (UpstreamTransport::Host(host.0), SslMode::Require, None),
        (None, Some(forward)) => {
            let (forward, unset) = port_forward(&section.key("port_forward"), forward, connectors)?;
            // The tunnel has TLS to the Kubernetes API, so a server without TLS is no danger, and one with TLS uses it.
            (UpstreamTransport::PortForward(forward), SslMode::Prefer, unset)
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
    connectors.check_keys(&section.key("ssl"), ssl, false)?;
    Ok(Checked { transport, default_mode, unset })
}

/// The tunnel, and the error of a variable that is not set in the path of the kubeconfig.
fn port_forward(
    section: &KeyPath,
    raw: raw::PortForward,
    connectors: &Connectors<'_>,
) -> Result<(PortForward, Option<KeyError>), KeyError> {
    let kube_config = raw.kube_config.as_ref();
    let kube_config = cert_pair::file(&section.key("kube_config"), kube_config, connectors.environment);
    let (kube_config, unset) = kube_config.map_or_else(|error| (None, Some(error)), |path| (path, None));
    let [deployment, selector, service] = [raw.deployment, raw.selector, raw.service].map(not_empty);
    let pods = pods(section, deployment, selector, service)?;
    let forward = PortForward {
        kube_config,
        context: not_empty(raw.context),
        namespace: not_empty(raw.namespace),
        pods,
        local_port: raw.local_port.map(|port| port.0),
        remote_port: raw.remote_port.map_or(REMOTE_PORT, |port| port.0),
    };
    Ok((forward, unset))
}

/// In the Go program the empty text is that of a key that is not set.
pub(super) fn not_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
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

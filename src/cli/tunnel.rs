//! The tunnel of an upstream proxy, from what the configuration says about it.

use std::sync::Arc;

use super::failure::Failure;
use super::start;
use crate::catalog::{Dial, Pods, PortForward};
use crate::kubernetes::{Tunnel, forward};
use crate::net::{Address, HostPort};
use crate::session::Transport;
use crate::shutdown::Shutdown;
use crate::tls::Connector;

/// The name that the certificate at the end of the tunnel has to have where pods are chosen by labels only; it is what
/// `gen-cert` writes if nothing else is asked for.
const NAME: &str = "rds-auth-proxy";

/// The way through the tunnel; `tls` is what is demanded at its end. Where `local_port` is set, other tools get a port of
/// this machine in front of it too.
pub(super) async fn transport(
    settings: &PortForward,
    tls: &Connector,
    shutdown: &Shutdown,
) -> Result<Transport, Failure> {
    let host = match &settings.pods {
        Pods::Deployment(name) | Pods::Service(name) => name,
        Pods::Selector(_) => NAME,
    };
    let tunnel = Tunnel::new(settings.clone());
    let tunnel: Arc<dyn Dial> = Arc::new(if tls.verifies() { tunnel.verified_inside() } else { tunnel });
    if let Some(port) = settings.local_port {
        let (listener, _) = start::listen(&Address::Tcp(HostPort::new("127.0.0.1", port)), "tunnel").await?;
        tokio::spawn(forward(listener, Arc::clone(&tunnel), shutdown.clone()));
    }
    Ok(Transport::Tunnel { dial: tunnel, host: host.to_owned() })
}

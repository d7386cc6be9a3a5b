//! The tunnel to an upstream proxy, as the configuration describes it.

use std::sync::Arc;

use super::bind;
use super::supervise::Supervisor;
use crate::catalog::{Pods, PortForward};
use crate::kubernetes::{Tunnel, forward};
use crate::net::{Address, HostPort};
use crate::process::CommandError;
use crate::session::Transport;
use crate::shutdown::Shutdown;
use crate::tls::Connector;

/// The name that the certificate behind the tunnel must have where pods are chosen by labels only; `gen-cert` writes it
/// by default.
const NAME: &str = "rds-auth-proxy";

/// The tunnel with these settings; `tls` is what the client requires behind it.
pub(super) fn new(settings: &PortForward, tls: &Connector) -> Arc<Tunnel> {
    let tunnel = Tunnel::new(settings.clone());
    Arc::new(if tls.verifies() { tunnel.verified_inside() } else { tunnel })
}

/// The name that the certificate behind the tunnel must have, where it is verified.
pub(super) fn host(settings: &PortForward) -> &str {
    match &settings.pods {
        Pods::Deployment(name) | Pods::Service(name) => name,
        Pods::Selector(_) => NAME,
    }
}

/// A transport through a new tunnel. If `local_port` is set, other tools on this machine can use the tunnel through that port.
pub(super) async fn transport(
    settings: &PortForward,
    tls: &Connector,
    shutdown: &Shutdown,
    supervisor: &mut Supervisor,
) -> Result<Transport, CommandError> {
    let tunnel = new(settings, tls);
    if let Some(port) = settings.local_port {
        let address = Address::Tcp(HostPort::new("127.0.0.1", port));
        let (listener, _) = bind::listen(&address, "tunnel", "change port_forward.local_port").await?;
        let forwarding = forward(listener, Arc::clone(&tunnel) as _, shutdown.clone());
        supervisor.end_on_panic("tunnel forward", forwarding);
    }
    Ok(through(&tunnel, settings))
}

/// The transport through a tunnel with these settings.
pub(super) fn through(tunnel: &Arc<Tunnel>, settings: &PortForward) -> Transport {
    Transport::Tunnel { dial: Arc::clone(tunnel) as _, host: host(settings).to_owned() }
}

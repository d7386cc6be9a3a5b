//! The tunnel to an upstream proxy, as the configuration describes it.

use std::sync::Arc;

use super::bind;
use super::supervise::Supervisor;
use crate::catalog::{Dial, Pods, PortForward};
use crate::kubernetes::{Tunnel, forward};
use crate::net::{Address, HostPort};
use crate::process::CommandError;
use crate::session::Transport;
use crate::shutdown::Shutdown;
use crate::tls::Connector;

/// The name that the certificate behind the tunnel must have where pods are chosen by labels only; `gen-cert` writes it
/// by default.
const NAME: &str = "rds-auth-proxy";

/// A transport through the tunnel; `tls` is what the client requires behind it. If `local_port` is set, other tools on this
/// machine can use the tunnel through that port.
pub(super) async fn transport(
    settings: &PortForward,
    tls: &Connector,
    shutdown: &Shutdown,
    supervisor: &mut Supervisor,
) -> Result<Transport, CommandError> {
    let host = match &settings.pods {
        Pods::Deployment(name) | Pods::Service(name) => name,
        Pods::Selector(_) => NAME,
    };
    let tunnel = Tunnel::new(settings.clone());
    let tunnel: Arc<dyn Dial> = Arc::new(if tls.verifies() { tunnel.verified_inside() } else { tunnel });
    if let Some(port) = settings.local_port {
        let address = Address::Tcp(HostPort::new("127.0.0.1", port));
        let (listener, _) = bind::listen(&address, "tunnel", "change port_forward.local_port").await?;
        let forwarding = forward(listener, Arc::clone(&tunnel), shutdown.clone());
        supervisor.end_on_panic("tunnel forward", forwarding);
    }
    Ok(Transport::Tunnel { dial: tunnel, host: host.to_owned() })
}

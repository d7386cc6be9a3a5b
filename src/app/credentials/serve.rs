//! The listeners: the configured address, the Unix socket, the address of the agent of ECS, and that of the metrics.

use std::io;

use tracing::{debug, info};

use super::super::supervise::Supervisor;
use super::super::{admin_thread, bind};
use crate::admin::{self, Recorder};
use crate::config::credentials::CredentialsConfig;
use crate::net::{Address, HostPort, Listener};
use crate::process::CommandError;

/// The address that `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` leads to
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
const AGENT_HOST: &str = "169.254.170.2";
const AGENT_PORT: u16 = 80;

/// The log line with the Unix socket.
const ON_SOCKET: &str = "serving credentials on a Unix socket";

/// The listeners of a configuration.
pub(super) struct Listeners {
    /// All of them.
    pub(super) all: Vec<Listener>,
    /// The configured address, with the real port.
    pub(super) address: Address,
}

/// Binds the listeners. `message` is the log line with the configured address.
pub(super) async fn bind(config: &CredentialsConfig, message: &str) -> Result<Listeners, CommandError> {
    let wanted = Address::Tcp(config.listen.clone());
    let (listener, address) = bind::listen(&wanted, message, "change server.host or server.port").await?;
    let mut all = vec![listener];
    if let Some(path) = &config.socket {
        let address = Address::Unix(path.clone());
        let (listener, _) = bind::listen(&address, ON_SOCKET, "change server.socket").await?;
        all.push(listener);
    }
    let agent = HostPort::new(AGENT_HOST, AGENT_PORT);
    if config.listen != agent {
        match Listener::bind(&Address::Tcp(agent.clone())).await {
            Ok(listener) => {
                info!(address = %agent, "serving credentials where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI leads");
                all.push(listener);
            }
            Err(error) => not_the_agent(&error),
        }
    }
    Ok(Listeners { all, address })
}

/// Most machines do not have the address, which only `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` needs.
fn not_the_agent(error: &io::Error) {
    debug!(%error, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not lead here: {AGENT_HOST}:{AGENT_PORT} cannot be listened on");
}

/// Answers Prometheus.
pub(super) async fn metrics(
    address: &HostPort,
    recorder: Recorder,
    supervisor: &mut Supervisor,
) -> Result<(), CommandError> {
    let stop = supervisor.stop();
    let service = |listener| admin::serve_metrics(listener, recorder, stop);
    let wanted = Address::Tcp(address.clone());
    let binding = async move { Listener::bind(&wanted).await };
    let (bound, service) = admin_thread::serve(binding, service).await.map_err(|error| {
        let reason = bind::explained(&error, "change metrics.prometheus");
        CommandError::Runtime(format!("cannot listen on {address} for metrics: {reason}"))
    })?;
    info!(address = %bound, "answering Prometheus");
    supervisor.end_on_panic("metrics listener", service);
    Ok(())
}

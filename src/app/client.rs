//! Puts `rds-auth-proxy client` together.

use std::sync::Arc;

use tracing::{info, warn};

use super::start::{self, Start};
use super::{Prepared, tunnel};
use crate::aws::Aws;
use crate::catalog::{Directory, Mint, Target};
use crate::client::{Client, UpstreamMode};
use crate::config::{Config, Upstream, UpstreamTransport};
use crate::net::{Address, HostPort, Listener};
use crate::process::CommandError;
use crate::secret::Secret;
use crate::session::metrics::expect_refusals;
use crate::session::{Engine, Hop, Transport};

/// The targets to choose from, and the AWS edge behind them.
pub(crate) struct Catalog {
    pub(crate) directory: Arc<Directory>,
    aws: Option<Aws>,
}

/// The choices of the user.
pub(crate) struct Selection {
    pub(crate) target: Target,
    /// Absent with `--direct`.
    pub(crate) upstream: Option<Upstream>,
    /// A password to use in place of an IAM token.
    pub(crate) password: Option<Secret>,
}

/// Lists the databases of RDS. If that fails, a warning is logged, and the targets of the configuration remain.
pub(crate) async fn catalog(config: &Config) -> Result<Catalog, CommandError> {
    let aws = start::aws(config).await?;
    let directory = start::directory(config, aws.as_ref())?;
    match directory.refresh().await {
        Err(error) if directory.targets().is_empty() => return Err(CommandError::runtime(error)),
        Err(error) => warn!(%error, "discovery failed; only the targets of the configuration can be used"),
        Ok(()) => {}
    }
    Ok(Catalog { directory, aws })
}

/// Prepares a client for the chosen target.
pub(crate) async fn prepare(
    mut start: Start,
    catalog: Catalog,
    selection: Selection,
) -> Result<Prepared<Client>, CommandError> {
    let Selection { target, upstream, password } = selection;
    let upstream_mode = if let Some(upstream) = upstream {
        upstream_mode(&upstream, &mut start).await?
    } else {
        catalog.directory.check_tls(vec![target.clone()]);
        UpstreamMode::Direct
    };
    let Start { config, observer, mut supervisor, shutdown, gate, .. } = start;
    if let Some(aws) = catalog.aws.clone() {
        // The HINT of a refused login names the identity; nothing waits for it.
        supervisor
            .restart_on_panic("AWS identity", aws, |aws| Box::pin(async { drop(aws.identity().await) }));
    }
    let mint = catalog.aws.map(|aws| Arc::new(aws.minter()) as Arc<dyn Mint>);
    let (listener, address) = listen(&config, &target).await?;
    observer.listen(&config, None, &shutdown, &mut supervisor).await?;
    expect_refusals(&target.name);
    let client = Client { target, upstream_mode, password, mint };
    let engine = Engine::new(client, config.acceptor, config.limits).with_gate(gate);
    Ok(Prepared { engine: Arc::new(engine), listener, address, stop: config.stop, shutdown, supervisor })
}

async fn upstream_mode(upstream: &Upstream, start: &mut Start) -> Result<UpstreamMode, CommandError> {
    let tls = upstream.connector().map_err(CommandError::usage)?;
    if let Some(warning) = upstream.tls_warning() {
        warn!(upstream = upstream.name, "{warning}");
    }
    let transport = match &upstream.transport {
        UpstreamTransport::Host(address) => Transport::Address(address.clone()),
        UpstreamTransport::PortForward(forward) => {
            tunnel::transport(forward, tls, &start.shutdown, &mut start.supervisor).await?
        }
    };
    let hop = Hop {
        name: format!("the upstream proxy {}", upstream.name),
        transport,
        tls: Arc::clone(tls),
        require_auth: upstream.require_auth,
        auth_key: format!("upstream_proxies.{}.require_auth", upstream.name),
        is_database: false,
    };
    Ok(if upstream.aws_auth_only {
        UpstreamMode::AuthOnly(hop)
    } else {
        UpstreamMode::PasswordInStartup(hop)
    })
}

/// Binds the listener, unless the configuration forbids that other machines reach it.
async fn listen(config: &Config, target: &Target) -> Result<(Listener, Address), CommandError> {
    let (listener, address) = start::bind(&listen_address(&config.listen, target)).await?;
    if config.check_bound(&address).map_err(CommandError::Usage)? {
        warn!(%address, "other machines can connect to this client and log in with your AWS identity");
    }
    info!(%address, "listening");
    Ok((listener, address))
}

/// The configured address, with the port of the target if it has one.
fn listen_address(configured: &Address, target: &Target) -> Address {
    match (configured, target.local_port) {
        (Address::Tcp(address), Some(port)) => Address::Tcp(HostPort { host: address.host.clone(), port }),
        _ => configured.clone(),
    }
}

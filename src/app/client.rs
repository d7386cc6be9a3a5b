//! Puts `rds-auth-proxy client` together.

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use tracing::warn;

use super::catalog::Catalog;
use super::credentials::Beside;
use super::doors::{Doors, Orders, Served, Wiring};
use super::listen::{ListenFlags, listen};
use super::reach::warn_if_unreachable;
use super::reload::Running;
use super::start::{ConfigFile, Start};
use super::status::Status;
use super::supervise::Supervisor;
use super::{Prepared, admin_socket, tunnel, upstream};
use crate::aws::Accounts;
use crate::catalog::{Dial, Directory, Mint, NamePattern, Target};
use crate::client::{Client, Targets, UpstreamMode};
use crate::config::{Config, Upstream, UpstreamTransport};
use crate::net::{Address, PeerUser};
use crate::process::logging::Log;
use crate::process::{CommandError, Hangup};
use crate::secret::Secret;
use crate::session::metrics::expect_target;
use crate::session::{Door, Engine, Entrance, Transport, serve};

/// The choices of the user.
pub(crate) struct Selection {
    pub(crate) targets: Chosen,
    /// Absent with `--direct`.
    pub(crate) upstream: Option<Upstream>,
    /// A password to use in place of an IAM token.
    pub(crate) password: Option<Secret>,
    pub(crate) listen_flags: ListenFlags,
    /// Whether to serve the section `credentials` of the configuration too.
    pub(crate) serves_credentials: bool,
}

/// The targets to serve.
pub(crate) enum Chosen {
    /// This one, at one address.
    One(Box<Target>),
    /// All with these names, each at its port, and all at a door that they share.
    Several(Vec<NamePattern>),
}

impl Chosen {
    fn only(&self) -> Option<&Target> {
        match self {
            Self::One(target) => Some(target),
            Self::Several(_) => None,
        }
    }
}

/// A client that is ready to serve.
pub(crate) struct Ready {
    pub(crate) prepared: Prepared,
    /// Its targets, where they may be several.
    pub(crate) served: Vec<Served>,
}

/// The door at the address of the client, and what follows the list of targets.
struct Opened {
    door: Door,
    served: Vec<Served>,
    /// Absent where the target was chosen at the start.
    directory: Option<Arc<Directory>>,
    orders: Option<Orders>,
}

/// Prepares a client for the chosen targets.
pub(crate) async fn prepare(
    mut start: Start,
    catalog: Catalog,
    selection: Selection,
    log: Log,
) -> Result<Ready, CommandError> {
    let Selection { targets: chosen, upstream, password, listen_flags, serves_credentials } = selection;
    let upstream_mode = match &upstream {
        Some(upstream) => upstream_mode(upstream, &mut start).await?,
        None => UpstreamMode::Direct,
    };
    let Start { file, mode, config, observer, mut supervisor, shutdown, gate } = start;
    if let Some(aws) = catalog.aws.clone() {
        // The HINT of a refused login names the identity; nothing waits for it.
        supervisor.restart_on_panic("AWS identity", aws, |aws| Box::pin(aws.look_up_identities()));
    }
    let is_discovered = catalog.directory.is_discovered();
    let clock = catalog.aws.as_ref().map(Accounts::clock).unwrap_or_default();
    let minter = catalog.aws.as_ref().map(Accounts::minter);
    let mint = minter.clone().map(|minter| Arc::new(minter) as Arc<dyn Mint>);
    let (listener, address) = listen(&listen_flags, &config, chosen.only()).await?;
    if let UpstreamMode::PasswordInStartup(hop) | UpstreamMode::AuthOnly(hop) = &upstream_mode {
        supervisor.restart_on_panic(
            "upstream check",
            (hop.clone(), config.limits.clone()),
            |(hop, limits)| Box::pin(warn_if_unreachable(hop, limits)),
        );
    }
    let tunnel = tunnel_of(&upstream_mode);
    let targets = Targets::default();
    let client = Client { targets: targets.clone(), upstream_mode, password, mint, is_discovered, clock };
    let engine = Engine::new(client, config.acceptor.clone(), config.limits.clone())
        .with_gate(gate)
        .for_owner_only(owner_only(&config, &address));
    let engine = Arc::new(if chosen.only().is_some() { engine } else { engine.with_cancel_keys() });
    observer.report_expiry(&mut supervisor);
    observer.listen(&config, None, engine.gauges(), &shutdown, &mut supervisor).await?;
    admin_socket::listen(&config, engine.sessions(), &mut supervisor).await?;
    let status = Status::new(engine.sessions(), tunnel, minter);
    let (stop, serving) = (config.stop, TaskTracker::new());
    let wiring = Wiring {
        engine: Arc::clone(&engine),
        targets,
        directory: catalog.directory,
        shared: address.clone(),
        direct: upstream.is_none(),
        serving: serving.clone(),
        shutdown: shutdown.clone(),
    };
    let Opened { door, served, directory, orders } = match chosen {
        Chosen::One(target) => open_one(*target, &wiring),
        Chosen::Several(selection) => open_several(selection, wiring, &config, &mut supervisor).await?,
    };
    if let Some(ConfigFile { path, .. }) = file.as_ref().filter(|_| serves_credentials) {
        let beside = Beside::new(path, &supervisor);
        supervisor.restart_on_panic("credentials", beside, |beside| Box::pin(beside.serve()));
    }
    let running = Running {
        file,
        mode,
        acl: config.acl.clone(),
        started_with: config,
        directory,
        orders,
        engine: Arc::clone(&engine),
        observer,
        log,
        hangup: Hangup::without_terminal(),
    };
    supervisor.restart_on_panic("configuration reload", running, |running| Box::pin(running.follow()));
    let (entrance, until) = (Entrance::new(listener, door), shutdown.clone());
    let serving = Box::pin(async move {
        serve(engine, entrance, until).await;
        serving.close();
        serving.wait().await;
    });
    Ok(Ready {
        prepared: Prepared {
            serving,
            address,
            stop,
            shutdown,
            supervisor,
            command: None,
            status: Some(status),
        },
        served,
    })
}

fn open_one(target: Target, wiring: &Wiring) -> Opened {
    if wiring.direct {
        wiring.directory.check_tls(vec![target.clone()]);
    }
    expect_target(&target.name);
    let door = Door::of(&target.name);
    wiring.targets.replace([Arc::new(target)]);
    Opened { door, served: Vec::new(), directory: None, orders: None }
}

async fn open_several(
    selection: Vec<NamePattern>,
    wiring: Wiring,
    config: &Config,
    supervisor: &mut Supervisor,
) -> Result<Opened, CommandError> {
    let directory = Arc::clone(&wiring.directory);
    let (mut doors, orders) = Doors::new(wiring, selection, config.clone());
    let served = doors.open_all().await?;
    supervisor.restart_on_panic("ports of targets", doors, |doors| Box::pin(doors.follow()));
    Ok(Opened { door: Door::shared(), served, directory: Some(directory), orders: Some(orders) })
}

/// Whether to serve only the user of this process and root. Warns where the system cannot tell users apart.
fn owner_only(config: &Config, listen: &Address) -> bool {
    if let (false, Address::Tcp(_), false) = (config.allow_other_users, listen, PeerUser::is_known_over_tcp())
    {
        warn!(
            "this system does not identify the users of connections; other users of this machine can log in with your AWS identity"
        );
    }
    !config.allow_other_users
}

/// The tunnel to the upstream proxy, if there is one.
fn tunnel_of(upstream_mode: &UpstreamMode) -> Option<Arc<dyn Dial>> {
    match upstream_mode {
        UpstreamMode::PasswordInStartup(hop) | UpstreamMode::AuthOnly(hop) => match &hop.transport {
            Transport::Tunnel { dial, .. } => Some(Arc::clone(dial)),
            Transport::Address(_) | Transport::Database { .. } => None,
        },
        UpstreamMode::Direct => None,
    }
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
    Ok(upstream::mode(upstream, upstream::hop(upstream, tls, transport)))
}

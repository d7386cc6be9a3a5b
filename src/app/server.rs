//! Puts `rds-auth-proxy server` together.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::warn;

use super::reload::Running;
use super::start::{self, Start};
use super::{Prepared, admin_socket, bind};
use crate::aws::Accounts;
use crate::config::{self, Mode, OneTarget};
use crate::process::logging::Log;
use crate::process::{CommandError, Hangup};
use crate::server::Server;
use crate::session::{Door, Engine, Entrance, serve};

/// Where the configuration of a server comes from.
pub(crate) enum Source {
    /// From this file, or from the one that is found.
    File(Option<PathBuf>),
    /// From flags, for one target.
    Flags(OneTarget),
}

/// Prepares the server of this configuration.
pub(crate) async fn prepare(source: Source, log: Log) -> Result<Prepared, CommandError> {
    let hangup = Hangup::new();
    let start = match source {
        Source::File(path) => Start::read(path.as_deref(), Mode::Server, &log)?,
        Source::Flags(target) => {
            let config = config::of_one_target(target).map_err(CommandError::usage)?;
            Start::of(None, config, Mode::Server, &log)?
        }
    };
    let Start { file, mode, config, observer, mut supervisor, shutdown, gate } = start;
    if config.rds.enabled && config.acl.is_empty() {
        warn!("there is no target_acl; every RDS database that is discovered may be reached");
    }
    let (listener, address) = bind::listen(&config.listen, "listening", "change proxy.listen_addr").await?;
    let aws = start::aws(&config, None, false).await?;
    let directory = start::directory(&config, aws.as_ref())?;
    let clock = aws.as_ref().map(Accounts::clock).unwrap_or_default();
    let engine = Engine::new(
        Server::new(Arc::clone(&directory), config.rds.require_iam, clock),
        config.acceptor.clone(),
        config.limits.clone(),
    )
    .with_gate(gate);
    engine.set_load_balancers(config.load_balancers.clone());
    observer.report_expiry(&mut supervisor);
    observer.listen(&config, Some(&directory), engine.gauges(), &shutdown, &mut supervisor).await?;

    let refresh = (Arc::clone(&directory), shutdown.clone());
    supervisor.restart_on_panic("discovery refresh", refresh, |(directory, shutdown)| {
        Box::pin(directory.keep_fresh(shutdown))
    });
    admin_socket::listen(&config, engine.sessions(), &mut supervisor).await?;
    let (engine, stop) = (Arc::new(engine), config.stop);
    let running = Running {
        file,
        mode,
        acl: config.acl.clone(),
        started_with: config,
        directory: Some(directory),
        orders: None,
        engine: Arc::clone(&engine),
        observer,
        log,
        hangup,
    };
    supervisor.restart_on_panic("configuration reload", running, |running| Box::pin(running.follow()));
    let serving = serve(engine, Entrance::new(listener, Door::shared()), shutdown.clone());
    Ok(Prepared {
        serving: Box::pin(serving),
        address,
        stop,
        shutdown,
        supervisor,
        command: None,
        status: None,
    })
}

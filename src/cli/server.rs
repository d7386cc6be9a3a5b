//! `rds-auth-proxy server`.

use std::sync::Arc;

use tracing::warn;

use super::args::ServerArguments;
use super::failure::Failure;
use super::logging::Level;
use super::reload::{Hangup, Running};
use super::start::{self, Prepared};
use super::{harden, observe};
use crate::config::Mode;
use crate::server::Server;
use crate::session::Engine;
use crate::shutdown::Shutdown;

/// Puts the server together.
pub(super) async fn prepare(arguments: ServerArguments, log: Level) -> Result<Prepared<Server>, Failure> {
    let hangup = Hangup::new();
    let (file, config) = start::configuration(arguments.configfile.as_deref(), Mode::Server)?;
    log.configure(config.log_level);
    start::announce(&file.path);
    if config.rds.enabled && config.acl.is_empty() {
        warn!("there is no target_acl; every RDS database that is discovered may be reached");
    }
    harden::check_file_limit(&config.limits);
    let recorder = observe::recorder(&config)?;
    let (listener, _) = start::listen(&config.listen, "listening").await?;
    let aws = start::aws(&config).await?;
    let directory = start::directory(&config, aws.as_ref())?;
    let shutdown = Shutdown::new();
    let certificates = observe::admin(&config, recorder, Some(&directory), &shutdown).await?;

    let (refreshed, draining) = (Arc::clone(&directory), shutdown.clone());
    tokio::spawn(async move { refreshed.keep_fresh(&draining).await });

    let engine =
        Engine::new(Server::new(Arc::clone(&directory)), config.acceptor.clone(), config.limits.clone());
    let (engine, stop) = (Arc::new(engine), config.stop);
    let running = Running {
        file,
        acl: config.acl.clone(),
        started_with: config,
        directory,
        engine: Arc::clone(&engine),
        certificates,
        log,
    };
    tokio::spawn(running.follow(hangup));
    Ok(Prepared { engine, listener, stop, shutdown })
}

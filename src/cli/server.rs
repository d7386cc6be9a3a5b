//! `rds-auth-proxy server`.

use std::sync::Arc;

use super::args::ServerArguments;
use super::failure::Failure;
use super::start;
use crate::config::Mode;
use crate::server::Server;
use crate::session::Engine;
use crate::shutdown::Shutdown;

/// Puts the server together and runs it until it is told to stop.
pub(super) async fn run(arguments: ServerArguments) -> Result<(), Failure> {
    let config = start::configuration(arguments.configfile.as_deref(), Mode::Server)?;
    let acceptor = start::acceptor(&config)?;
    let (listener, _) = start::listen(&config.listen).await?;
    let aws = start::aws(&config).await;
    let directory = start::directory(&config, aws.as_ref(), true).await?;

    let shutdown = Shutdown::new();
    let refreshed = Arc::clone(&directory);
    let draining = shutdown.clone();
    tokio::spawn(async move { refreshed.keep_fresh(&draining).await });

    let engine = Engine::new(Server::new(directory), acceptor, config.limits);
    start::run(engine, listener, config.stop, shutdown).await
}

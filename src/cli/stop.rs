//! Signals: the first asks for an orderly stop, the second ends at once.

use std::io;

use tokio::time::sleep;
use tracing::{info, warn};

use super::observe;
use crate::config::{Drain, Stop};
use crate::shutdown::Shutdown;

/// Waits for SIGTERM or SIGINT and drains: accepting goes on for `delay`, then running sessions get what `drain`
/// grants them. A second signal ends them at once. Returns when sessions have to end.
pub(super) async fn on_signal(signals: &mut Signals, stop: Stop, shutdown: &Shutdown) {
    signals.next().await;
    shutdown.announce();
    observe::stopping();
    info!(shutdown_delay = ?stop.delay, drain_timeout = %stop.drain, "stopping; a second signal ends at once");
    let orderly = async {
        sleep(stop.delay).await;
        shutdown.drain();
        match stop.drain {
            Drain::After(time) => sleep(time).await,
            Drain::Forever => std::future::pending().await,
        }
    };
    tokio::select! {
        () = orderly => info!("the drain_timeout is over; sessions that still run are ended"),
        () = signals.next() => warn!("told to stop twice; sessions that still run are ended"),
    }
    shutdown.end();
}

/// The signals that mean stop. From the moment it exists they no longer kill the process.
#[cfg(unix)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "the same face as on Unix")]
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "the same face as on Unix")]
    pub(super) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

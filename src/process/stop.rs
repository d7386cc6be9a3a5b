//! How signals end the process: the first starts an orderly stop, the second ends it at once.

use tokio::time::sleep;
use tracing::{info, warn};

use super::Signals;
use super::systemd;
use crate::config::{Drain, Stop};
use crate::shutdown::Shutdown;

/// Waits for a signal and drains: the proxy accepts connections for `delay` longer, then running sessions get the time
/// that `drain` grants. A second signal ends them at once. Returns when sessions have to end.
pub(crate) async fn on_signal(signals: &mut Signals, stop: Stop, shutdown: &Shutdown) {
    signals.next().await;
    shutdown.announce();
    systemd::notify_stopping();
    let delay = Drain::After(stop.delay);
    info!(shutdown_delay = %delay, drain_timeout = %stop.drain, "stopping; a second signal ends at once");
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
        () = signals.next() => warn!("a second signal came; sessions that still run are ended"),
    }
    shutdown.end();
}

//! What signals bring about: the first asks for an orderly stop, the second ends at once.

use tokio::time::sleep;
use tracing::{info, warn};

use super::observe;
use super::signals::Signals;
use crate::config::{Drain, Stop};
use crate::shutdown::Shutdown;

/// Waits for a signal and drains: accepting goes on for `delay`, then running sessions get what `drain`
/// grants them. A second signal ends them at once. Returns when sessions have to end.
pub(super) async fn on_signal(signals: &mut Signals, stop: Stop, shutdown: &Shutdown) {
    signals.next().await;
    shutdown.announce();
    observe::stopping();
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
        () = signals.next() => warn!("told to stop twice; sessions that still run are ended"),
    }
    shutdown.end();
}

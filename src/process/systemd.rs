//! Notifications for systemd (`sd_notify(3)`). Without systemd there is no socket to write to, which is no error.

use std::time::Duration;

#[cfg(target_os = "linux")]
use sd_notify::NotifyState;

/// Reports that the service is up.
pub(crate) fn notify_ready() {
    #[cfg(target_os = "linux")]
    notify(NotifyState::Ready);
}

/// Reports that the service begins to stop.
pub(crate) fn notify_stopping() {
    #[cfg(target_os = "linux")]
    notify(NotifyState::Stopping);
}

/// How long systemd waits for a ping before it restarts the service; absent where it expects none.
pub(crate) fn watchdog_limit() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    let limit = sd_notify::watchdog_enabled();
    #[cfg(not(target_os = "linux"))]
    let limit = None;
    limit.filter(|limit: &Duration| !limit.is_zero())
}

/// Pings the watchdog twice within each `limit`. Never returns.
pub(crate) async fn ping_watchdog(limit: Duration) {
    let mut pings = tokio::time::interval(limit / 2);
    loop {
        pings.tick().await;
        #[cfg(target_os = "linux")]
        notify(NotifyState::Watchdog);
    }
}

#[cfg(target_os = "linux")]
fn notify(state: NotifyState<'_>) {
    drop(sd_notify::notify(&[state]));
}

//! A changed configuration counts for the connections to come, without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::start::policy;
use crate::config::{self, Config, Mode};
use crate::session::{Engine, Role};
use crate::target::Directory;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Reads the file again after SIGHUP and whenever it has changed: targets, access list and limits are replaced, and
/// certificates with them. A file that cannot be used changes nothing and is reported. Never returns.
pub(super) async fn follow<R: Role>(
    path: PathBuf,
    started_with: Config,
    directory: Arc<Directory>,
    engine: Arc<Engine<R>>,
) {
    let mut hangup = Hangup::new();
    let mut stamp = stamp_of(&path);
    loop {
        let asked = tokio::select! {
            () = hangup.received() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        let now = stamp_of(&path);
        if !asked && now == stamp {
            continue;
        }
        stamp = now;
        match config::load(&path, Mode::Server) {
            Ok(config) => {
                warn_of_restart(&started_with, &config);
                directory.replace(policy(&config));
                engine.limit(config.limits);
                info!(file = %path.display(), "the configuration was loaded again");
            }
            Err(error) => {
                warn!(%error, "the configuration cannot be used; what was loaded before stays in use");
            }
        }
    }
}

/// What only counts at start.
fn warn_of_restart(old: &Config, new: &Config) {
    let changed = [
        ("proxy.listen_addr", old.listen != new.listen),
        ("proxy.ssl", old.acceptor != new.acceptor),
        ("proxy.admin_addr", old.admin != new.admin),
        ("proxy.drain_timeout or shutdown_delay", old.stop != new.stop),
        ("rds", old.rds != new.rds),
    ];
    for (key, _) in changed.into_iter().filter(|(_, changed)| *changed) {
        warn!(key, "this key changed, which needs a restart");
    }
}

fn stamp_of(path: &Path) -> Option<(SystemTime, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

/// SIGHUP, where there is one.
struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    fn new() -> Self {
        #[cfg(unix)]
        {
            Self { signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok() }
        }
        #[cfg(not(unix))]
        Self {}
    }

    async fn received(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            signal.recv().await;
            return;
        }
        std::future::pending::<()>().await;
    }
}

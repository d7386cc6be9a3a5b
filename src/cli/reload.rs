//! A changed configuration counts for the connections to come, without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::logging::Level;
use super::start::policy;
use crate::admin::Certificates;
use crate::config::{self, Config, Mode};
use crate::session::{Engine, Role};
use crate::stamp::Stamp;
use crate::target::Directory;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What a changed configuration is put into.
pub(super) struct Running<R> {
    pub(super) path: PathBuf,
    /// Of the file that was loaded at start.
    pub(super) stamp: Stamp,
    pub(super) started_with: Config,
    pub(super) directory: Arc<Directory>,
    pub(super) engine: Arc<Engine<R>>,
    pub(super) certificates: Certificates,
    pub(super) log: Level,
}

impl<R: Role> Running<R> {
    /// Reads the file again after SIGHUP and whenever it has changed. A file that cannot be used changes nothing and
    /// is reported. Never returns.
    pub(super) async fn follow(self, mut hangup: Hangup) {
        let mut loaded = self.stamp;
        let mut seen = loaded;
        loop {
            let asked = tokio::select! {
                () = hangup.received() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let before = std::mem::replace(&mut seen, Stamp::of(&self.path));
            // A file that still changes is half written: what it lacks could be the access list.
            let settled = seen == before;
            if asked || (settled && seen != loaded) {
                loaded = seen;
                self.load();
            }
        }
    }

    fn load(&self) {
        if is_empty(&self.path) {
            warn!(file = %self.path.display(), "the configuration is empty; what was loaded before stays in use");
            return;
        }
        match config::load(&self.path, Mode::Server) {
            Ok(config) => self.take_over(config),
            Err(error) => {
                warn!(%error, "the configuration cannot be used; what was loaded before stays in use");
            }
        }
    }

    fn take_over(&self, config: Config) {
        warn_of_restart(&self.started_with, &config);
        self.directory.replace(policy(&config));
        self.certificates.watch(config.certificates());
        self.log.configure(config.log_level);
        self.engine.limit(config.limits);
        info!(file = %self.path.display(), "the configuration was loaded again");
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

/// An empty file is a configuration, but one that is emptied while it is in use is a mistake, or about to be written.
fn is_empty(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.trim().is_empty())
}

/// SIGHUP, where there is one. From the moment this exists it no longer kills the process.
pub(super) struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    pub(super) fn new() -> Self {
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

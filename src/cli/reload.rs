//! A changed configuration counts for the connections to come, without a restart.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::logging::Level;
use super::start::{Loaded, policy};
use super::{harden, restart};
use crate::admin::Certificates;
use crate::catalog::{Acl, Directory};
use crate::config::{self, Config, Mode};
use crate::session::{Engine, Role};
use crate::stamp::Stamp;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What a changed configuration is put into.
pub(super) struct Running<R> {
    pub(super) file: Loaded,
    pub(super) started_with: Config,
    /// The access list in force.
    pub(super) acl: Acl,
    pub(super) directory: Arc<Directory>,
    pub(super) engine: Arc<Engine<R>>,
    pub(super) certificates: Certificates,
    pub(super) log: Level,
}

impl<R: Role> Running<R> {
    /// Reads the file again after SIGHUP and whenever it has changed. A file that cannot be used changes nothing and
    /// is reported. Never returns.
    pub(super) async fn follow(mut self, mut hangup: Hangup) {
        let mut loaded = self.file.stamp;
        let mut seen = loaded;
        loop {
            let asked = tokio::select! {
                () = hangup.received() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let before = std::mem::replace(&mut seen, Stamp::of(&self.file.path));
            // A file that still changes is half written: what it lacks could be the access list.
            let settled = seen == before;
            if asked || (settled && seen != loaded) {
                loaded = seen;
                self.load();
            }
        }
    }

    fn load(&mut self) {
        match config::load_again(&self.file.path, Mode::Server) {
            Ok(Some(config)) => self.take_over(config),
            Ok(None) => {
                warn!(file = %self.file.path.display(), "the configuration is empty; what was loaded before stays in use");
            }
            Err(error) => {
                warn!(%error, "the configuration cannot be used; what was loaded before stays in use");
            }
        }
    }

    fn take_over(&mut self, config: Config) {
        for key in restart::changed(&self.started_with, &config) {
            warn!(key, "this key changed, which needs a restart");
        }
        if self.started_with.rds.enabled && config.acl.is_empty() && !self.acl.is_empty() {
            warn!("target_acl was taken away; every RDS database that is discovered may now be reached");
        }
        harden::check_file_limit(&config.limits);
        self.directory.replace(policy(&config));
        self.certificates.watch(config.certificates());
        self.log.configure(config.log_level);
        self.engine.set_limits(config.limits);
        self.acl = config.acl;
        info!(file = %self.file.path.display(), "the configuration was loaded again");
    }
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

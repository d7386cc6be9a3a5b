//! Applies a changed configuration to the connections to come, without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::blocking::blocking;
use super::doors::Orders;
use super::observe::Observer;
use super::start::{ConfigFile, policy, report};
use super::{reload_metrics, restart_keys};
use crate::catalog::{Acl, Directory};
use crate::config::{self, Config, Mode};
use crate::process::logging::Log;
use crate::process::{Hangup, file_limit};
use crate::session::{Engine, Role};
use crate::stamp::Stamp;

/// How often the file is compared with its stamp.
const INTERVAL: Duration = Duration::from_secs(2);

/// The running parts that a configuration applies to.
pub(super) struct Running<R> {
    /// The file, with its stamp from when it was last loaded. Absent where the defaults apply.
    pub(super) file: Option<ConfigFile>,
    pub(super) mode: Mode,
    pub(super) started_with: Config,
    /// The access list in force.
    pub(super) acl: Acl,
    /// Absent in a client that has chosen its one target.
    pub(super) directory: Option<Arc<Directory>>,
    /// What it means to the doors of a client with several targets.
    pub(super) orders: Option<Orders>,
    pub(super) engine: Arc<Engine<R>>,
    pub(super) observer: Observer,
    pub(super) log: Log,
    pub(super) hangup: Hangup,
}

impl<R: Role> Running<R> {
    /// Loads the file again after SIGHUP and whenever it has changed. A file that cannot be used changes nothing and is
    /// reported. Never returns.
    pub(super) async fn follow(&mut self) {
        let mut seen = self.file.as_ref().map(|file| file.stamp).unwrap_or_default();
        loop {
            let requested = tokio::select! {
                () = self.hangup.next() => true,
                () = tokio::time::sleep(INTERVAL) => false,
            };
            if let Some(file) = &mut self.file {
                let before = std::mem::replace(&mut seen, Stamp::of(&file.path));
                // A file that still changes is half written: the missing half could be the access list.
                let settled = seen == before;
                if requested || (settled && seen != file.stamp) {
                    file.stamp = seen;
                    let path = file.path.clone();
                    self.load(path).await;
                }
            }
            if let Some(orders) = self.orders.as_ref().filter(|_| requested) {
                orders.list_again.notify_one();
            }
        }
    }

    /// Reads the file on a thread where work may block: it includes certificates and may generate a key.
    async fn load(&mut self, path: PathBuf) {
        let (file, mode) = (path.clone(), self.mode);
        let Some(loaded) = blocking(move || config::load_again(&file, mode)).await else { return };
        match loaded {
            Ok(Some(config)) => self.apply(config, &path),
            Ok(None) => {
                reload_metrics::failed();
                warn!(file = %path.display(), "the configuration is empty; the previous one stays in use");
            }
            Err(error) => {
                reload_metrics::failed();
                warn!(%error, "the configuration cannot be used; the previous one stays in use");
            }
        }
    }

    fn apply(&mut self, config: Config, path: &Path) {
        let follows = self.orders.is_some();
        for key in restart_keys::changed(self.mode, follows, &self.started_with, &config) {
            warn!(key, "this key changed, which needs a restart");
        }
        report(&config.remarks);
        file_limit::check(&config.limits);
        if let Some(directory) = &self.directory {
            let is_server = self.orders.is_none();
            if is_server && self.started_with.rds.enabled && config.acl.is_empty() && !self.acl.is_empty() {
                warn!("target_acl was taken away; every RDS database that is discovered may now be reached");
            }
            directory.replace(policy(&config));
        }
        if let (Mode::Server, Some(_), Some(acceptor)) =
            (self.mode, &self.started_with.acceptor, &config.acceptor)
        {
            self.engine.set_acceptor(acceptor.clone());
        }
        if let Some(orders) = &self.orders {
            orders.config.send_replace(config.clone());
        }
        self.observer.reconfigure(&config);
        self.log.configure(config.log_level);
        self.engine.set_limits(config.limits);
        self.engine.set_load_balancers(config.load_balancers);
        self.acl = config.acl;
        reload_metrics::succeeded();
        info!(file = %path.display(), "the configuration was loaded again");
    }
}

//! The doors of a client with several targets: a listener for each target, beside the one that all share. They follow the list
//! of targets while the client runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::bind;
use super::plan::{Plan, Planned, plan, same_port};
use crate::catalog::{Directory, NamePattern, Target};
use crate::client::{Client, Targets};
use crate::config::Config;
use crate::net::{Address, Listener};
use crate::process::CommandError;
use crate::session::metrics::expect_target;
use crate::session::{Door, Engine, Entrance, serve};
use crate::shutdown::Shutdown;

/// The parts of a client that its doors connect.
pub(super) struct Wiring {
    pub(super) engine: Arc<Engine<Client>>,
    /// Those of the engine's role.
    pub(super) targets: Targets,
    pub(super) directory: Arc<Directory>,
    /// Where the door listens that all targets share; the others are beside it.
    pub(super) shared: Address,
    /// Whether this process makes TLS with the databases.
    pub(super) direct: bool,
    /// The tasks that accept connections and wait for their sessions.
    pub(super) serving: TaskTracker,
    pub(super) shutdown: Shutdown,
}

/// The doors of the targets.
pub(super) struct Doors {
    wiring: Wiring,
    /// The targets that the user wants.
    selection: Vec<NamePattern>,
    config: watch::Receiver<Config>,
    list_again: Arc<Notify>,
    open: BTreeMap<String, Open>,
    /// Whether the doors of the start are open. Their ports are printed, and those of later ones are logged.
    started: bool,
    /// The problems that were reported.
    problems: BTreeMap<String, String>,
}

/// Reports changes to [`Doors`].
pub(super) struct Orders {
    /// The configuration in force.
    pub(super) config: watch::Sender<Config>,
    /// Requests a discovery now.
    pub(super) list_again: Arc<Notify>,
}

/// An open door.
struct Open {
    port: u16,
    close: CancellationToken,
    closed: CancellationToken,
    serving: JoinHandle<()>,
}

/// A target, and where it can be reached.
pub(crate) struct Served {
    pub(crate) target: Arc<Target>,
    /// Absent where its port cannot be used.
    pub(crate) port: Option<u16>,
}

impl Doors {
    /// No door is open yet.
    pub(super) fn new(wiring: Wiring, selection: Vec<NamePattern>, config: Config) -> (Self, Orders) {
        let (sender, config) = watch::channel(config);
        let list_again = Arc::new(Notify::new());
        let orders = Orders { config: sender, list_again: Arc::clone(&list_again) };
        let (open, problems) = (BTreeMap::new(), BTreeMap::new());
        (Self { wiring, selection, config, list_again, open, started: false, problems }, orders)
    }

    /// Opens the doors of the targets that are known now. A port that cannot be used is reported, and affects no other target.
    ///
    /// # Errors
    /// Two targets have the same port in the configuration.
    pub(super) async fn open_all(&mut self) -> Result<Vec<Served>, CommandError> {
        let plan = self.plan();
        if let Some(error) = same_port(&self.config.borrow(), &plan) {
            return Err(CommandError::Usage(error));
        }
        self.apply(&plan).await;
        self.started = true;
        let served = plan.targets.into_iter().map(|(name, Planned { target, .. })| {
            let port = self.open.get(&name).map(|open| open.port);
            Served { target, port }
        });
        Ok(served.collect())
    }

    /// Follows the list of targets and the configuration, until the proxy drains.
    pub(super) async fn follow(&mut self) {
        loop {
            let list_again = tokio::select! {
                () = sleep(Directory::refresh_pause()) => true,
                () = self.list_again.notified() => true,
                Ok(()) = self.config.changed() => false,
                () = self.wiring.shutdown.draining() => return,
            };
            if list_again {
                self.wiring.directory.refresh_or_warn().await;
            }
            let plan = self.plan();
            if let Some(error) = same_port(&self.config.borrow(), &plan) {
                warn!("{error}; until then the later one has another port");
            }
            self.apply(&plan).await;
        }
    }

    fn plan(&mut self) -> Plan {
        let known = self.wiring.directory.targets();
        plan(&self.config.borrow_and_update(), known, &self.selection, &self.wiring.shared)
    }

    /// Closes the doors that are not in the plan, and opens the others.
    async fn apply(&mut self, plan: &Plan) {
        self.wiring.targets.replace(plan.targets.values().map(|planned| Arc::clone(&planned.target)));
        if self.wiring.direct {
            let targets = plan.targets.values();
            self.wiring.directory.check_tls(targets.map(|planned| planned.target.as_ref().clone()).collect());
        }
        self.close_others(plan).await;
        let mut problems = plan.problems.clone();
        for (name, planned) in &plan.targets {
            if !self.open.contains_key(name)
                && let Err(problem) = self.open(name, planned).await
            {
                problems.insert(name.clone(), problem);
            }
        }
        self.report(problems);
    }

    async fn close_others(&mut self, plan: &Plan) {
        let keeps = |name: &String, open: &Open| {
            let port = plan.targets.get(name).and_then(|planned| planned.port);
            port.is_some_and(|port| port.port == open.port) && !open.serving.is_finished()
        };
        let closing: Vec<_> = self.open.extract_if(.., |name, open| !keeps(name, open)).collect();
        for (name, open) in closing {
            open.close.cancel();
            // Another target may get the port now.
            open.closed.cancelled().await;
            info!(target = name, port = open.port, "closed the port of a target; its sessions continue");
        }
    }

    /// Opens the door of a target. The error says why it cannot be opened.
    async fn open(&mut self, name: &str, planned: &Planned) -> Result<(), String> {
        let Some(port) = planned.port else { return Err("no port is left for it".into()) };
        let address = self.wiring.shared.with_port(port.port);
        let bound = Listener::bind(&address).await;
        let listener = bound.map_err(|error| {
            let remedy = "change its local_port; until then it is tried again every minute";
            format!("cannot listen on {address}: {}", bind::explained(&error, remedy))
        })?;
        let (close, closed) = (CancellationToken::new(), CancellationToken::new());
        let listener = listener.reporting_close(closed.clone());
        let entrance = Entrance { listener, door: Door::of(name), closed: close.clone() };
        let serving = self.wiring.serving.spawn(serve(
            Arc::clone(&self.wiring.engine),
            entrance,
            self.wiring.shutdown.clone(),
        ));
        self.open.insert(name.to_owned(), Open { port: port.port, close, closed, serving });
        expect_target(name);
        if port.is_moved() {
            let (wanted, port) = (port.wanted, port.port);
            warn!(
                target = name,
                port, wanted, "another target has the port of this one, which gets the next free one"
            );
        }
        if self.started {
            info!(target = name, %address, "opened the port of a target");
        } else {
            debug!(target = name, %address, "opened the port of a target");
        }
        Ok(())
    }

    /// Logs each problem once.
    fn report(&mut self, problems: BTreeMap<String, String>) {
        for (name, problem) in &problems {
            if self.problems.get(name) != Some(problem) {
                warn!(target = name, problem, "this target has no port now");
            }
        }
        self.problems = problems;
    }
}

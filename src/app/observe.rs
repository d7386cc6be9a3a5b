//! Metrics, probes and the expiry of certificates, for operators.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::info;

use super::supervise::Supervisor;
use super::{admin_thread, bind, reload_metrics};
use crate::admin::{self, Admin, Certificates, Health, Recorder};
use crate::aws;
use crate::catalog::{self, Directory};
use crate::config::Config;
use crate::credentials;
use crate::kubernetes;
use crate::net::{self, Address, HostNames, Listener};
use crate::process::{CommandError, logging};
use crate::session::{Gauges, metrics};
use crate::shutdown::Shutdown;

/// How often the expiry of certificates is checked for the log.
const EXPIRY_INTERVAL: Duration = Duration::from_mins(1);

/// The metrics of the process and the certificate files whose expiry they report.
pub(super) struct Observer {
    /// Absent where nothing can read it.
    recorder: Option<Recorder>,
    certificates: Certificates,
}

impl Observer {
    /// Installs the recorder of metrics if there is an admin listener. Before that, nothing is counted.
    pub(super) fn new(config: &Config) -> Result<Self, CommandError> {
        let recorder = config.admin.is_some().then(recorder).transpose()?;
        let observer = Self { recorder, certificates: Certificates::default() };
        observer.reconfigure(config);
        Ok(observer)
    }

    /// Watches the certificate files of this configuration and no others.
    pub(super) fn reconfigure(&self, config: &Config) {
        self.certificates.watch(config.certificates());
    }

    /// Reports certificates that expire soon, or have expired, in the log.
    pub(super) fn report_expiry(&self, supervisor: &mut Supervisor) {
        supervisor.restart_on_panic("certificate expiry", self.certificates.clone(), |certificates| {
            Box::pin(report_expiry(certificates))
        });
    }

    /// Starts the admin listener, if there is one. Readiness depends on the directory, if there is one.
    pub(super) async fn listen(
        &self,
        config: &Config,
        directory: Option<&Arc<Directory>>,
        connections: Gauges,
        shutdown: &Shutdown,
        supervisor: &mut Supervisor,
    ) -> Result<(), CommandError> {
        let (Some(address), Some(recorder)) = (&config.admin, &self.recorder) else { return Ok(()) };
        if let Address::Unix(_) = address {
            return Err(CommandError::usage(
                "proxy.admin_addr has to be HOST:PORT; probes cannot reach a Unix socket",
            ));
        }
        let health = Health {
            directory: directory.cloned(),
            shutdown: shutdown.clone(),
            certificates: self.certificates.clone(),
            connections,
            known: Arc::default(),
            runtime: Handle::current(),
        };
        let names = HostNames::new("proxy.admin_hosts", &config.admin_hosts);
        let admin = Admin { health, recorder: recorder.clone(), names };
        let stop = supervisor.stop();
        let service = |listener| admin::serve(listener, admin, stop);
        let wanted = address.clone();
        let binding = async move { Listener::bind(&wanted).await };
        let (bound, service) = admin_thread::serve(binding, service).await.map_err(|error| {
            let reason = bind::explained(&error, "change proxy.admin_addr");
            CommandError::Runtime(format!("cannot listen on the admin_addr {address}: {reason}"))
        })?;
        info!(admin_addr = %bound, "answering probes");
        supervisor.end_on_panic("admin listener", service);
        Ok(())
    }
}

/// Never returns.
async fn report_expiry(certificates: &Certificates) {
    loop {
        let certificates = certificates.clone();
        // An error means that the runtime ends.
        let _reported = spawn_blocking(move || certificates.report()).await;
        sleep(EXPIRY_INTERVAL).await;
    }
}

/// Installs the recorder, and describes every metric to it.
pub(super) fn recorder() -> Result<Recorder, CommandError> {
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("RDS_AUTH_PROXY_BUILD_COMMIT"));
    let histograms = [&metrics::HISTOGRAMS[..], &credentials::HISTOGRAMS].concat();
    let recorder = Recorder::install(version, commit, &histograms).map_err(CommandError::runtime)?;
    metrics::describe();
    reload_metrics::describe();
    aws::describe();
    catalog::describe();
    kubernetes::describe();
    net::describe();
    logging::describe();
    credentials::describe();
    Ok(recorder)
}

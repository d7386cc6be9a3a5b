//! The metrics recorder of the process.

use super::certificates::CERTIFICATE_END;
use super::health::TASKS;
use super::process_metrics;
use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// The bounds of the histogram's buckets, in seconds: from a step on loopback to the time that a paused database has.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0, 30.0, 60.0];

/// The recorder of the process.
#[derive(Clone)]
pub struct Recorder {
    handle: PrometheusHandle,
}

impl Recorder {
    /// Installs it permanently for the process. `version` and `commit` are those of the build; `histograms` are the names
    /// of the histograms in seconds.
    ///
    /// # Errors
    /// If one is installed already.
    pub fn install(
        version: &'static str,
        commit: &'static str,
        histograms: &[&str],
    ) -> Result<Self, BuildError> {
        let mut builder = PrometheusBuilder::new();
        for name in histograms {
            builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), &SECONDS)?;
        }
        let handle = builder.install_recorder()?;
        describe_gauge!("rds_auth_proxy_build_info", "Always 1; its labels are the build.");
        describe_gauge!("rds_auth_proxy_ready", "1 while /readyz answers ready, else 0.");
        describe_gauge!(TASKS, "Live asynchronous tasks: one for each connection, and some for the process.");
        describe_gauge!(CERTIFICATE_END, "When the certificate file expires, in seconds since 1970.");
        process_metrics::describe();
        gauge!("rds_auth_proxy_build_info", "version" => version, "commit" => commit).set(1.0);
        Ok(Self { handle })
    }

    /// All metrics in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.upkeep();
        self.handle.render()
    }

    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

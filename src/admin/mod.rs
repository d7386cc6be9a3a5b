//! The admin listener: liveness, readiness and metrics. It has no secrets and changes nothing, but shows the databases and
//! their use, so it should not be reachable from everywhere. The admin socket shows the sessions and ends them.

mod certificates;
mod health;
mod process_metrics;
mod recorder;
mod sessions;

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::net::{HostNames, HttpLimits, Listener, serve_http};

pub use certificates::Certificates;
pub use health::Health;
pub use recorder::Recorder;
pub use sessions::{MAX_REASON, SessionLine, SessionList, serve_sessions};

/// The media type of the Prometheus text format:
/// <https://prometheus.io/docs/instrumenting/exposition_formats/>
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often the recorder moves samples into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// Probes and Prometheus open a few connections.
const LIMITS: HttpLimits = HttpLimits { connections: 64, request_timeout: Duration::from_secs(10) };

/// What the listener answers from.
#[derive(Clone)]
pub struct Admin {
    /// Whether the proxy is ready.
    pub health: Health,
    /// The metrics.
    pub recorder: Recorder,
    /// The names that requests may use.
    pub names: HostNames,
}

/// Answers `/livez`, `/readyz` and `/metrics` until `stop` is cancelled.
pub async fn serve(listener: Listener, admin: Admin, stop: CancellationToken) {
    let recorder = admin.recorder.clone();
    let names = admin.names.clone();
    let router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin);
    serve_with_upkeep(listener, names.protect(router), recorder, stop).await;
}

/// Answers `/metrics` alone, under every name: Prometheus reaches containers by names of their network.
pub async fn serve_metrics(listener: Listener, recorder: Recorder, stop: CancellationToken) {
    let render = |State(recorder): State<Recorder>| async move {
        process_metrics::measure();
        ([(CONTENT_TYPE, PROMETHEUS_TEXT)], recorder.render())
    };
    let router = Router::new().route("/metrics", get(render)).with_state(recorder.clone());
    serve_with_upkeep(listener, router, recorder, stop).await;
}

async fn serve_with_upkeep(listener: Listener, router: Router, recorder: Recorder, stop: CancellationToken) {
    // The recorder keeps histograms sample by sample until it is read.
    let upkeep = async {
        loop {
            tokio::time::sleep(UPKEEP).await;
            recorder.upkeep();
        }
    };
    tokio::select! {
        () = serve_http(listener, router, LIMITS, stop) => {}
        () = upkeep => {}
    }
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.health.obstacles().as_slice() {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        obstacles => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", obstacles.join("; "))),
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    admin.health.measure().await;
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], admin.recorder.render())
}

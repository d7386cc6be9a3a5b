//! The admin listener: is it alive, is it ready, what does it count. It has no secrets and changes nothing, but tells
//! operators enough that it should not be reachable from everywhere.

mod health;
mod recorder;

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

pub use health::{Certificates, Health};
pub use recorder::Recorder;

/// The media type of the Prometheus text format:
/// <https://prometheus.io/docs/instrumenting/exposition_formats/>
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often samples are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the listener answers from.
#[derive(Clone)]
pub struct Admin {
    /// Whether the proxy can take on work.
    pub health: Health,
    /// What it has counted.
    pub recorder: Recorder,
}

/// Answers `/livez`, `/readyz` and `/metrics` until dropped.
pub async fn serve(listener: TcpListener, admin: Admin) -> io::Result<()> {
    // What is recorded in buckets is kept sample by sample until somebody looks.
    let recorder = admin.recorder.clone();
    let upkeep = async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            recorder.upkeep();
        }
    };
    let router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin);
    tokio::select! {
        served = axum::serve(listener, router) => served,
        () = upkeep => Ok(()),
    }
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.health.faults().as_slice() {
        [] => (StatusCode::OK, "ready\n".to_owned()),
        faults => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", faults.join("; "))),
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    admin.health.measure();
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], admin.recorder.render())
}

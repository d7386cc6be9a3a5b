//! The admin listener: is it alive, is it ready, what does it count. It has no secrets and changes nothing, but tells
//! operators enough that it should not be reachable from everywhere.

mod health;
mod recorder;

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;

use crate::net::{Accepted, Listener, Waiting};

pub use health::{Certificates, Health};
pub use recorder::Recorder;

/// The media type of the Prometheus text format:
/// <https://prometheus.io/docs/instrumenting/exposition_formats/>
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often samples are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// How many connections there may be; then the oldest one of the address that has the most is closed.
const CONNECTIONS: usize = 64;

/// How long a request may take to arrive, the next one of a connection too.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the listener answers from.
#[derive(Clone)]
pub struct Admin {
    /// Whether the proxy can take on work.
    pub health: Health,
    /// What it has counted.
    pub recorder: Recorder,
}

/// Answers `/livez`, `/readyz` and `/metrics` until dropped.
pub async fn serve(mut listener: Listener, admin: Admin) {
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
    let waiting = Waiting::default();
    let accepting = async {
        loop {
            let accepted = listener.accept().await;
            tokio::spawn(answer(accepted, router.clone(), &waiting));
        }
    };
    tokio::join!(accepting, upkeep);
}

/// Answers the requests of one connection. What goes wrong there is the business of who asked.
fn answer(accepted: Accepted, router: Router, waiting: &Waiting) -> impl Future<Output = ()> + use<> {
    let Accepted { socket, peer } = accepted;
    let (turn, _closed) = waiting.enter(peer, CONNECTIONS);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let connection = http.serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    async move {
        tokio::select! {
            _served = connection => {}
            () = turn.dismissed() => {}
        }
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

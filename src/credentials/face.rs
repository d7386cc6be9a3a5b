//! The HTTP face: `GET /v1/credentials` and `GET /health`.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::audit;
use super::authorization::{self, Authorization};
use super::outcome::Outcome;
use super::running::{Running, Unavailable};
use super::services::Services;
use super::{metrics, origin};
use crate::net::{HostNames, HttpLimits, Listener, Peer, PeerUid, serve_http};
use crate::services::RoleCredentials;

/// SDKs keep no connections, or a few.
const LIMITS: HttpLimits = HttpLimits { connections: 1024, request_timeout: Duration::from_secs(10) };

/// What the listener answers from.
#[derive(Clone)]
pub struct Face {
    /// The services.
    pub services: Services,
    /// Whether a health check is logged.
    pub log_health_checks: bool,
}

/// The answer with credentials, in the form of the container agent of ECS
/// (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html>). It lives until it is sent.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    /// UTC, RFC 3339 with whole seconds.
    expiration: String,
    role_arn: &'a str,
}

/// Answers requests until `stop` is cancelled. On a Unix socket, only those of the user of the process and of root.
pub async fn serve(listener: Listener, face: Face, stop: CancellationToken) {
    serve_http(listener, router(face), LIMITS, stop).await;
}

fn router(face: Face) -> Router {
    let router = Router::new()
        .route("/v1/credentials", get(credentials))
        .route("/health", get(health))
        .layer(from_fn(check_user))
        .with_state(face);
    HostNames::default().protect(origin::protect(router)).layer(from_fn(never_stored))
}

async fn never_stored(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn check_user(request: Request, next: Next) -> Response {
    match request.extensions().get::<PeerUid>() {
        Some(uid) if !uid.is_owner_or_root() => {
            warn!(uid = uid.0, "refused another user on the socket for credentials");
            refuse(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "only the user of the process and root may use this socket",
            )
        }
        Some(_) | None => next.run(request).await,
    }
}

async fn health(State(face): State<Face>) -> Response {
    let services = face.services.count();
    if face.log_health_checks {
        info!(services, "health check");
    }
    json_response(StatusCode::OK, &json!({"status": "healthy", "services": services}))
}

async fn credentials(
    State(face): State<Face>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let began = Instant::now();
    let token = authorization::of(&headers);
    let running = match token {
        Authorization::Token(token) => face.services.find(token),
        Authorization::Missing => None,
    };
    let Some(running) = running else {
        let missing = token == Authorization::Missing;
        let outcome = if missing { Outcome::NoToken } else { Outcome::WrongToken };
        finish(peer, None, "", outcome, began);
        return refuse(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "the header Authorization has no valid token",
        );
    };
    match running.credentials().await {
        Ok(credentials) => {
            finish(peer, Some(&running), &credentials.access_key_id, Outcome::Served, began);
            granted(&credentials, &running)
        }
        Err(unavailable) => {
            finish(peer, Some(&running), "", Outcome::Unavailable, began);
            unavailable.into_response()
        }
    }
}

fn finish(peer: Peer, running: Option<&Running>, access_key_id: &str, outcome: Outcome, began: Instant) {
    audit::log(peer, running, access_key_id, outcome);
    metrics::requested(running.map(|running| running.name.as_str()), outcome, began.elapsed());
}

fn granted(credentials: &RoleCredentials, running: &Running) -> Response {
    // Both are ASCII: the SDK received them as text.
    let text = |secret: &'_ crate::secret::Secret| String::from_utf8_lossy(secret.expose()).into_owned();
    let secret_access_key = Zeroizing::new(text(&credentials.secret_access_key));
    let token = Zeroizing::new(text(&credentials.session_token));
    let answer = Answer {
        access_key_id: &credentials.access_key_id,
        secret_access_key: &secret_access_key,
        token: &token,
        expiration: humantime::format_rfc3339_seconds(credentials.expires).to_string(),
        role_arn: &running.role.arn,
    };
    // With room for all of it, so that no copy is left where the vector grows.
    let mut body = Zeroizing::new(Vec::with_capacity(512 + secret_access_key.len() + 2 * token.len()));
    match serde_json::to_writer(&mut *body, &answer) {
        Ok(()) => ([(CONTENT_TYPE, "application/json")], Body::from(Bytes::from_owner(body))).into_response(),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "the answer cannot be written"),
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, "CredentialsUnavailable", &self.reason);
        let seconds = self.retry_after.as_secs().max(1);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
        response
    }
}

/// `error` is CredProxy's; the SDKs read `code` and `message`.
fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    json_response(status, &json!({"error": message, "code": code, "message": message}))
}

fn json_response(status: StatusCode, content: &serde_json::Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], content.to_string()).into_response()
}

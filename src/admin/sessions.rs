//! The admin socket: the open sessions, and the order to end one. Only the user of the process and root may use it.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, body::Bytes};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::LIMITS;
use crate::net::{Listener, PeerUid, serve_http};
use crate::session::{EndOrder, LiveSessions, SessionNames, SessionState};

/// The most bytes of a reason.
pub const MAX_REASON: usize = 256;

/// The answer to `GET /sessions`. `docs/reference.md` describes the JSON.
#[derive(Serialize, Deserialize)]
pub struct SessionList {
    /// In the order in which the connections were accepted.
    pub sessions: Vec<SessionLine>,
}

/// One session.
#[derive(Clone, Serialize, Deserialize)]
pub struct SessionLine {
    /// The connection's id, as in the log.
    pub id: u64,
    /// When it became ready for queries: UTC, RFC 3339 with milliseconds.
    pub since: String,
    /// The address and port of the application, or `unix`.
    pub peer: String,
    /// The database user.
    pub user: String,
    /// The database.
    pub database: String,
    /// The target.
    pub target: String,
    /// The AWS identity that the database verified, or empty.
    pub identity: String,
    /// The AWS identity that no database verified, or empty.
    pub identity_claimed: String,
    /// Bytes to the database.
    pub sent: u64,
    /// Bytes from the database.
    pub received: u64,
    /// Whole seconds since the last byte.
    pub idle_seconds: u64,
}

impl From<SessionState> for SessionLine {
    fn from(state: SessionState) -> Self {
        let SessionNames { target, user, database, identity, identity_claimed } = state.names;
        Self {
            id: state.id,
            since: humantime::format_rfc3339_millis(state.since).to_string(),
            peer: state.peer.to_string(),
            user: user.into(),
            database: database.into(),
            target: target.into(),
            identity: identity.into(),
            identity_claimed: identity_claimed.into(),
            sent: state.sent,
            received: state.received,
            idle_seconds: state.idle.as_secs(),
        }
    }
}

/// Answers requests on the admin socket until `stop` is cancelled: `GET /sessions`, and `POST /sessions/ID/end` with the
/// reason as its body.
pub async fn serve_sessions(listener: Listener, sessions: LiveSessions, stop: CancellationToken) {
    serve_http(listener, router(sessions), LIMITS, stop).await;
}

fn router(sessions: LiveSessions) -> Router {
    Router::new()
        .route("/sessions", get(list))
        .route("/sessions/{id}/end", post(end))
        .layer(DefaultBodyLimit::max(MAX_REASON))
        .layer(from_fn(check))
        .with_state(sessions)
}

/// Refuses other users, whom the mode of the socket keeps out already.
async fn check(request: Request, next: Next) -> Response {
    let uid = request.extensions().get::<PeerUid>().copied();
    if uid.is_some_and(PeerUid::is_owner_or_root) {
        return next.run(request).await;
    }
    warn!(uid = uid.map(|uid| uid.0), "refused another user on the admin_socket");
    (StatusCode::FORBIDDEN, "only the user of the proxy and root may use the admin_socket\n").into_response()
}

async fn list(State(sessions): State<LiveSessions>) -> Response {
    answer(&SessionList { sessions: sessions.list().into_iter().map(SessionLine::from).collect() })
}

async fn end(
    State(sessions): State<LiveSessions>,
    Path(id): Path<u64>,
    Extension(PeerUid(uid)): Extension<PeerUid>,
    reason: Bytes,
) -> Response {
    // Applications print it.
    let reason = String::from_utf8_lossy(&reason).replace(char::is_control, " ");
    match sessions.end(id, EndOrder { reason, uid }) {
        Some(ended) => answer(&SessionLine::from(ended)),
        None => (StatusCode::NOT_FOUND, format!("no session has the id {id}\n")).into_response(),
    }
}

fn answer(content: &impl Serialize) -> Response {
    match serde_json::to_vec(content) {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;

    async fn status(uid: Option<PeerUid>, method: &str, path: &str, body: String) -> StatusCode {
        let mut request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
        if let Some(uid) = uid {
            request.extensions_mut().insert(uid);
        }
        router(LiveSessions::default()).oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn only_the_owner_and_root_are_answered() {
        for (uid, expected) in [
            (Some(PeerUid(0)), StatusCode::OK),
            (Some(PeerUid(u32::MAX - 1)), StatusCode::FORBIDDEN),
            (None, StatusCode::FORBIDDEN),
        ] {
            assert_eq!(status(uid, "GET", "/sessions", String::new()).await, expected, "{uid:?}");
        }
    }

    #[tokio::test]
    async fn an_order_names_a_session_and_a_short_reason() {
        let root = Some(PeerUid(0));
        for (path, length, expected) in [
            ("/sessions/1/end", MAX_REASON, StatusCode::NOT_FOUND),
            ("/sessions/1/end", MAX_REASON + 1, StatusCode::PAYLOAD_TOO_LARGE),
            ("/sessions/one/end", 0, StatusCode::BAD_REQUEST),
            ("/sessions", 0, StatusCode::METHOD_NOT_ALLOWED),
        ] {
            assert_eq!(status(root, "POST", path, "x".repeat(length)).await, expected, "{path}");
        }
    }
}

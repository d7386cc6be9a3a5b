//! Refuses requests of web pages. A page cannot set `Authorization` without the browser's permission, but could guess what runs
//! here; no SDK sends these headers.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};

/// Headers that browsers add and pages cannot remove (Fetch Standard, "Origin"; Fetch Metadata Request Headers).
const OF_BROWSERS: [&str; 3] = ["origin", "sec-fetch-site", "sec-fetch-mode"];

/// The router for requests without these headers; others get 403.
pub(super) fn protect(router: Router) -> Router {
    router.layer(from_fn(check))
}

async fn check(request: Request, next: Next) -> Response {
    if OF_BROWSERS.iter().any(|name| request.headers().contains_key(*name)) {
        return (StatusCode::FORBIDDEN, "this is no page for a browser\n").into_response();
    }
    next.run(request).await
}

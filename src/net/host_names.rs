//! The names by which an HTTP listener may be called.
//!
//! A web page can point a name of its domain at this machine (DNS rebinding). The browser then lets the page read what the
//! listener answers, and only the `Host` header shows which name the page used.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tracing::warn;

/// The longest DNS name in bytes (RFC 1035, section 2.3.4); the log and the answer repeat no more.
const MAX_NAME_LENGTH: usize = 253;

/// The names of a listener, beside `localhost`, names below it (RFC 6761, section 6.3) and IP addresses. No page can have a
/// name among these.
#[derive(Clone, Default)]
pub struct HostNames {
    configured: Arc<[String]>,
    /// The key with these names, for the answer that refuses another one.
    key: &'static str,
    /// Whether the log has a refusal. Later ones are not logged, because a page could fill the log with them.
    warned: Arc<AtomicBool>,
}

impl HostNames {
    /// The names that `key` of the configuration has.
    #[must_use]
    pub fn new(key: &'static str, configured: &[String]) -> Self {
        Self { configured: configured.iter().map(|name| folded(name)).collect(), key, warned: Arc::default() }
    }

    /// The router for requests that carry one of the names, or none, as in HTTP/1.0. Other requests get 403 and a sentence.
    pub fn protect(self, router: Router) -> Router {
        router.layer(from_fn_with_state(self, check))
    }

    /// Whether the text is `HOST` or `HOST:PORT` with a host that may be used.
    fn admit(&self, authority: &str) -> bool {
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').unwrap_or_default(),
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_whole = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        is_whole && (host.parse::<IpAddr>().is_ok() || self.has(&folded(host)))
    }

    fn has(&self, name: &str) -> bool {
        name == "localhost" || name.ends_with(".localhost") || self.configured.iter().any(|own| own == name)
    }
}

async fn check(State(names): State<HostNames>, request: Request, next: Next) -> Response {
    let name = refused(&names, &request).map(|name| name.chars().take(MAX_NAME_LENGTH).collect::<String>());
    let Some(name) = name else { return next.run(request).await };
    if !names.warned.swap(true, Ordering::Relaxed) {
        warn!(name, key = names.key, "refused a request for an unknown name; later ones are not logged");
    }
    (StatusCode::FORBIDDEN, sentence(&name, names.key)).into_response()
}

/// The first `HOST:PORT` in the request that the listener does not have; several `Host` headers must all be good.
fn refused<'a>(names: &HostNames, request: &'a Request) -> Option<&'a str> {
    let target = request.uri().authority().map(Authority::as_str);
    let headers = request.headers().get_all(HOST).iter().map(|header| header.to_str().unwrap_or("?"));
    target.into_iter().chain(headers).find(|authority| !authority.is_empty() && !names.admit(authority))
}

fn sentence(name: &str, key: &str) -> String {
    format!(
        "this listener does not answer to the name \"{}\", which a web page could have pointed at it; use the IP address, \
         or add the name to {key}\n",
        name.escape_debug()
    )
}

/// As DNS compares names: without case, and without the dot of the root.
fn folded(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn status(target: &str, hosts: &[&str]) -> StatusCode {
        let names = HostNames::new("proxy.admin_hosts", &["Metrics.internal".to_owned()]);
        let router = names.protect(Router::new().route("/", get(|| async { "secret" })));
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn loopback_names_addresses_and_configured_names_are_answered() {
        for host in [
            "localhost",
            "LOCALHOST:9090",
            "localhost.",
            "db.localhost:1",
            "127.0.0.1:9090",
            "10.1.2.3",
            "[::1]",
            "[2001:db8::1]:9090",
            "metrics.internal:9090",
            "METRICS.INTERNAL.",
            "",
        ] {
            assert_eq!(status("/", &[host]).await, StatusCode::OK, "{host}");
        }
        assert_eq!(status("/", &[]).await, StatusCode::OK, "HTTP/1.0 and health checks need no name");
        assert_eq!(status("http://127.0.0.1/", &["localhost"]).await, StatusCode::OK);
    }

    #[tokio::test]
    async fn other_names_are_refused() {
        for host in [
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "notlocalhost",
            "metrics.internal.evil.example",
            "internal",
            "localhost@evil.example",
            "127.0.0.1.evil.example",
            "0x7f.1",
            "127.1",
            "127.0.0.1, evil.example",
            "http://localhost",
            "evil.example/localhost",
            "\u{e4}.example",
            ":9090",
            "[::1].evil.example",
        ] {
            assert_eq!(status("/", &[host]).await, StatusCode::FORBIDDEN, "{host}");
        }
        assert_eq!(status("/", &["localhost", "evil.example"]).await, StatusCode::FORBIDDEN);
        assert_eq!(status("http://evil.example/", &["localhost"]).await, StatusCode::FORBIDDEN);
        assert_eq!(status("/nowhere", &["evil.example"]).await, StatusCode::FORBIDDEN);
    }

    #[test]
    fn the_answer_names_the_key_and_no_control_character() {
        let text = sentence("evil\u{1b}[31m\".example", "proxy.admin_hosts");
        assert!(
            text.contains(r#""evil\u{1b}[31m\".example""#) && text.contains("proxy.admin_hosts"),
            "{text}"
        );
    }
}

//! An HTTP server in place of AWS, for the tests of this module.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use axum::extract::Form;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::{Router, response::IntoResponse};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Aws;
use super::credentials::{Files, Source};

/// A call as AWS would see it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// From the signature.
    pub(super) region: String,
    /// The parameters of the query protocol, `Action` among them.
    pub(super) parameters: BTreeMap<String, String>,
}

/// Status and XML.
pub(super) type Answer = (u16, String);

/// The server; it ends with this value.
pub(super) struct StandIn {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Asked {
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    pub(super) fn action(&self) -> &str {
        self.parameter("Action")
    }
}

impl StandIn {
    /// Answers every call with `answer`.
    pub(super) async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let answer = Arc::new(answer);
        let handler = move |headers: HeaderMap, Form(parameters): Form<BTreeMap<String, String>>| {
            let call = Asked { region: signed_region(&headers), parameters };
            let (status, body) = answer(&call);
            log.lock().unwrap().push(call);
            std::future::ready(
                (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "text/xml")], body)
                    .into_response(),
            )
        };
        let router = Router::new().route("/", post(handler));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, task }
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The calls so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// An `Aws` that talks to this server.
    pub(super) async fn aws(&self, region: Option<&'static str>) -> Aws {
        aws(&self.url, region).await
    }
}

/// An `Aws` with static credentials that talks to `url`.
pub(super) async fn aws(url: &str, region: Option<&'static str>) -> Aws {
    aws_with(url, region, Some(Credentials::new("AKIDSTANDIN", "secret", None, None, "test"))).await
}

/// The same with these credentials, or none at all.
pub(super) async fn aws_with(
    url: &str,
    region: Option<&'static str>,
    credentials: Option<Credentials>,
) -> Aws {
    let url = url.to_owned();
    let loader = Arc::new(move || {
        let retry =
            RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(1));
        let loader = aws_config::defaults(BehaviorVersion::latest()).endpoint_url(&url).retry_config(retry);
        match credentials.clone() {
            Some(credentials) => loader.credentials_provider(credentials),
            None => loader.no_credentials(),
        }
    });
    let files = Files {
        config: "/nonexistent/config".into(),
        credentials: "/nonexistent/credentials".into(),
        sessions: Vec::new(),
        profile: "dev".into(),
        keys_in_environment: false,
    };
    let source = Source { loader, files };
    Aws::with(source, region.map(Region::new)).await
}

/// `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …`
fn signed_region(headers: &HeaderMap) -> String {
    let authorization = headers[header::AUTHORIZATION].to_str().unwrap();
    authorization.split('/').nth(2).unwrap().to_owned()
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

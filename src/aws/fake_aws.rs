//! A fake AWS endpoint for the tests of this module.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use axum::extract::Form;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::routing::{get, post};
use axum::{Router, response::IntoResponse};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Aws;
use super::credentials::{CredentialLoader, Files, SharedConfig};
use super::region::NamedRegion;
use super::shared::Shared;

/// An API call as AWS receives it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// From the signature.
    pub(super) region: String,
    /// The parameters of the query protocol, `Action` among them.
    pub(super) parameters: BTreeMap<String, String>,
}

/// Status and XML.
pub(super) type Response = (u16, String);

/// An answer of Aurora DSQL: status, the code of an error, and JSON.
pub(super) type JsonResponse = (u16, &'static str, String);

/// An HTTP server; dropping it stops it.
pub(super) struct FakeAws {
    url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    task: JoinHandle<()>,
}

impl Call {
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    pub(super) fn action(&self) -> &str {
        self.parameter("Action")
    }
}

impl FakeAws {
    /// Starts a server that answers every call with `respond`, and has no clusters of Aurora DSQL.
    pub(super) async fn start(respond: impl Fn(&Call) -> Response + Send + Sync + 'static) -> Self {
        Self::start_with(respond, |_| (200, "", r#"{"clusters": []}"#.to_owned())).await
    }

    /// The same with answers to the calls of the Aurora DSQL API, by path and query.
    pub(super) async fn start_with(
        respond: impl Fn(&Call) -> Response + Send + Sync + 'static,
        dsql: impl Fn(&str) -> JsonResponse + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&calls);
        let respond = Arc::new(respond);
        let handler = move |headers: HeaderMap, Form(parameters): Form<BTreeMap<String, String>>| {
            let call = Call { region: signed_region(&headers), parameters };
            let (status, body) = respond(&call);
            log.lock().push(call);
            std::future::ready(
                (StatusCode::from_u16(status).unwrap(), [(header::CONTENT_TYPE, "text/xml")], body)
                    .into_response(),
            )
        };
        let dsql = move |uri: Uri| {
            let (status, code, body) = dsql(uri.path_and_query().unwrap().as_str());
            std::future::ready(
                (StatusCode::from_u16(status).unwrap(), [("x-amzn-errortype", code)], body).into_response(),
            )
        };
        let router = Router::new()
            .route("/", post(handler))
            .route("/cluster", get(dsql.clone()))
            .route("/cluster/{identifier}", get(dsql));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, calls, task }
    }

    /// Its address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The calls so far.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    /// An `Aws` that uses this server.
    pub(super) async fn aws(&self, region: Option<&'static str>) -> Aws {
        aws(&self.url, region).await
    }
}

/// An `Aws` with static credentials that uses `url`.
pub(super) async fn aws(url: &str, region: Option<&'static str>) -> Aws {
    aws_with(url, region, Some(Credentials::new("AKIDFAKE", "secret", None, None, "test"))).await
}

/// The same with these credentials, or with none.
pub(super) async fn aws_with(
    url: &str,
    region: Option<&'static str>,
    credentials: Option<Credentials>,
) -> Aws {
    let url = url.to_owned();
    let new_config = Arc::new(move || {
        let retry =
            RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(1));
        let loader = aws_config::defaults(BehaviorVersion::latest()).endpoint_url(&url).retry_config(retry);
        match credentials.clone() {
            Some(credentials) => loader.credentials_provider(credentials),
            None => loader.no_credentials(),
        }
    });
    let loader = CredentialLoader::new(new_config, Files::absent("dev"));
    let region = region.map(|name| NamedRegion { region: Region::new(name), origin: "a test".into() });
    Aws::with(loader, &SharedConfig::default(), region, &Shared::default()).await
}

/// `AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …`
fn signed_region(headers: &HeaderMap) -> String {
    let authorization = headers[header::AUTHORIZATION].to_str().unwrap();
    authorization.split('/').nth(2).unwrap().to_owned()
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        self.task.abort();
    }
}

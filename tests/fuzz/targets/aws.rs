//! Discovery with arbitrary answers of the RDS and the Aurora DSQL API: the SDK's parsing of HTTP status, XML and JSON, paging,
//! errors, and the reading of the lists. Only the HTTP client is replaced, so HTTP framing is not covered.
//!
//! An input consists of answers separated by `----` lines: one for each of the [`ACTIONS`], then the second pages in the same
//! order, then one for each of the [`DSQL_PATHS`]. Each begins with a line with its status.

#![no_main]

use std::sync::{Arc, LazyLock, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use libfuzzer_sys::fuzz_target;
use rds_auth_proxy::aws::{Discovery, fuzzing};
use rds_auth_proxy::catalog::{Discover, Discovered};
use rds_auth_proxy::net::HostPort;
use tokio::runtime::{Builder, Runtime};

const ACTIONS: [&[u8]; 7] = [
    b"Action=DescribeDBInstances&",
    b"Action=DescribeDBClusters&",
    b"Action=DescribeDBClusterEndpoints&",
    b"Action=DescribeDBProxies&",
    b"Action=DescribeDBProxyEndpoints&",
    b"Action=DescribeDBProxyTargets&",
    b"Action=ListTagsForResource&",
];

/// The paths of the calls `ListClusters` and `GetCluster`.
const DSQL_PATHS: [&str; 2] = ["/cluster?", "/cluster/"];

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));
static RDS: LazyLock<Rds> = LazyLock::new(Rds::default);
static DISCOVERY: LazyLock<Discovery> =
    LazyLock::new(|| RUNTIME.block_on(fuzzing::discovery(RDS.clone())).expect("a region"));

/// An RDS API with the answers of the input.
#[derive(Clone, Debug, Default)]
struct Rds(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    answers: Vec<Vec<u8>>,
    requests: [usize; ACTIONS.len()],
    /// Calls of the Aurora DSQL API.
    dsql_requests: usize,
}

fuzz_target!(|data: &[u8]| {
    let discovery = &*DISCOVERY;
    *RDS.0.lock().expect("one thread") = Script { answers: answers(data), ..Script::default() };
    match RUNTIME.block_on(discovery.discover()) {
        Ok(found) => check(&found.databases),
        Err(error) => assert!(!error.reason.is_empty() && error.region == "us-east-1"),
    }
});

fn check(found: &[Discovered]) {
    assert!(found.is_sorted_by_key(|database| (&database.name, &database.address)));
    for database in found {
        assert!(!database.name.is_empty() && database.region == "us-east-1", "{database:?}");
        assert!(database.local_port != Some(0) && database.database.as_deref() != Some(""));
        let address: HostPort = database.address.to_string().parse().expect("an address that can be written");
        assert!(address == database.address && address.port != 0);
    }
}

fn answers(data: &[u8]) -> Vec<Vec<u8>> {
    const BETWEEN: &[u8] = b"\n----\n";
    let mut answers = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(BETWEEN.len()).position(|bytes| bytes == BETWEEN) {
        answers.push(rest[..at].to_vec());
        rest = &rest[at + BETWEEN.len()..];
    }
    answers.push(rest.to_vec());
    answers
}

impl Script {
    /// The next answer to this request. After the last page the first one repeats.
    fn answer(&mut self, request: &[u8]) -> HttpResponse {
        let is = |action: &&[u8]| request.windows(action.len()).any(|bytes| bytes == *action);
        let action = ACTIONS.iter().position(is).expect("discovery sends only these actions");
        let at = action + ACTIONS.len() * self.requests[action];
        self.requests[action] += 1;
        self.answer_at(at)
    }

    /// The answer to a call of the Aurora DSQL API; from the second one on of one path, the following answers.
    fn dsql_answer(&mut self, uri: &str) -> HttpResponse {
        let path = DSQL_PATHS.iter().position(|path| uri.contains(path)).expect("discovery sends only these calls");
        let at = 2 * ACTIONS.len() + path + self.dsql_requests / 2 * DSQL_PATHS.len();
        self.dsql_requests += 1;
        self.answer_at(at)
    }

    fn answer_at(&self, at: usize) -> HttpResponse {
        let at = at % self.answers.len();
        let answer = &self.answers[at];
        let end = answer.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        let (status, body) = answer.split_at(end);
        let status = std::str::from_utf8(status).ok().and_then(|status| status.parse::<u16>().ok());
        let status = status.and_then(|status| StatusCode::try_from(status).ok());
        let ok = StatusCode::try_from(200).expect("a status");
        HttpResponse::new(status.unwrap_or(ok), SdkBody::from(body.trim_ascii_start().to_vec()))
    }
}

impl HttpConnector for Rds {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut script = self.0.lock().expect("one thread");
        let answer = if request.method() == "GET" {
            script.dsql_answer(request.uri())
        } else {
            script.answer(request.body().bytes().unwrap_or_default())
        };
        HttpConnectorFuture::ready(Ok(answer))
    }
}

impl HttpClient for Rds {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

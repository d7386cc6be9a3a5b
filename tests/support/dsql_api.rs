//! The clusters of Aurora DSQL that the fake AWS endpoint lists, and their JSON.
//!
//! Names and forms are those of the Amazon Aurora DSQL API Reference (`ListClusters`, `GetCluster`) and of the REST JSON protocol:
//! the header `x-amzn-errortype` has the code of an error.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::aws_failure::AwsFailure;
use super::rds_api::ACCOUNT;

/// A cluster of Aurora DSQL.
#[derive(Clone, Debug)]
pub struct DsqlCluster {
    pub identifier: String,
    pub region: String,
    /// `ACTIVE`, `IDLE`, `CREATING`, …
    pub status: String,
    /// The host.
    pub endpoint: String,
    pub tags: Vec<(String, String)>,
}

impl DsqlCluster {
    fn arn(&self) -> String {
        format!("arn:aws:dsql:{}:{ACCOUNT}:cluster/{}", self.region, self.identifier)
    }

    /// As `GetCluster` returns it.
    pub fn json(&self) -> Value {
        let tags: serde_json::Map<_, _> =
            self.tags.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        json!({
            "identifier": self.identifier,
            "arn": self.arn(),
            "status": self.status,
            "creationTime": 1_748_600_000.123,
            "deletionProtectionEnabled": true,
            "tags": tags,
            "encryptionDetails": {"encryptionType": "AWS_OWNED_KMS_KEY", "encryptionStatus": "ENABLED"},
            "endpoint": self.endpoint,
        })
    }
}

/// A page of `ListClusters`.
pub fn page(clusters: &[&DsqlCluster], token: Option<&str>, size: usize) -> Response {
    let start: usize = token.map_or(0, |token| token.trim_start_matches("page-from-").parse().unwrap());
    let listed: Vec<_> = clusters
        .iter()
        .skip(start)
        .take(size)
        .map(|cluster| json!({"identifier": cluster.identifier, "arn": cluster.arn()}))
        .collect();
    let next = start.saturating_add(size);
    let next = (next < clusters.len()).then(|| format!("page-from-{next}"));
    json(StatusCode::OK, &json!({"clusters": listed, "nextToken": next}))
}

pub fn json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub fn error(status: StatusCode, code: &'static str, message: &str) -> Response {
    let body = json!({"message": message}).to_string();
    (status, [("content-type", "application/json"), ("x-amzn-errortype", code)], body).into_response()
}

pub fn failure(failure: AwsFailure, action: &str) -> Response {
    match failure {
        AwsFailure::Throttling => {
            error(StatusCode::TOO_MANY_REQUESTS, "ThrottlingException", "Rate exceeded")
        }
        AwsFailure::AccessDenied => {
            let text = format!(
                "User: arn:aws:iam::{ACCOUNT}:user/tester is not authorized to perform: dsql:{action} on resource: * \
                 because no identity-based policy allows the dsql:{action} action"
            );
            error(StatusCode::FORBIDDEN, "AccessDeniedException", &text)
        }
        AwsFailure::Unknown => error(StatusCode::NOT_FOUND, "UnknownOperationException", "unknown"),
        AwsFailure::Expired => {
            error(StatusCode::FORBIDDEN, "ExpiredTokenException", "The security token has expired")
        }
        AwsFailure::UnknownCredentials => {
            let text = "The security token included in the request is invalid.";
            error(StatusCode::FORBIDDEN, "UnrecognizedClientException", text)
        }
        AwsFailure::Malformed => (StatusCode::OK, "<html><body>Please log in</body></html>").into_response(),
        AwsFailure::Truncated => (StatusCode::OK, r#"{"clusters": [{"ident"#).into_response(),
        AwsFailure::Internal | AwsFailure::Slow(_) => {
            error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException", "Try again later.")
        }
    }
}

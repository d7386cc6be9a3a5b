//! Why a call of the RDS or the Aurora DSQL API failed, what to do, and whether other calls can succeed nevertheless.

use std::error::Error;
use std::time::Duration;

use aws_sdk_rds::config::http::HttpResponse;
use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};

use super::error_code::{
    BAD_SIGNATURE, DENIED, EXPIRED, GONE, THROTTLED, UNKNOWN, UNKNOWN_CREDENTIALS, WRONG_TIME,
};
use super::metrics::FailureReason;
use crate::aws::credentials::{CredentialSource, NoCredentials};
use crate::error_chain;

/// The actions that discovery needs in the IAM policy.
const ACTIONS: &str = "rds:DescribeDBInstances, rds:DescribeDBClusters and rds:DescribeDBClusterEndpoints, and for RDS Proxy \
                       rds:DescribeDBProxies, rds:DescribeDBProxyEndpoints, rds:DescribeDBProxyTargets and \
                       rds:ListTagsForResource";

/// The same for Aurora DSQL.
const DSQL_ACTIONS: &str = "dsql:ListClusters and dsql:GetCluster";

/// A call that failed.
#[derive(Debug)]
pub(super) struct CallError {
    /// Why, and what to do.
    pub(super) text: String,
    /// The call is refused, unknown or throttled, or its subject is gone, which says nothing about other calls.
    pub(super) only_this_call: bool,
    /// The region does not know the credentials.
    pub(super) unknown_credentials: bool,
    /// Why, for the metrics.
    pub(super) reason: FailureReason,
    /// The API cannot be reached.
    pub(super) unreachable: Option<Unreachable>,
}

/// Why an API cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreachable {
    /// DNS does not have its name, as in a region without the service.
    NoName,
    /// No connection, or no answer in time.
    NoAnswer,
}

impl CallError {
    /// The error of a call of `action`, such as `rds:DescribeDBInstances`.
    pub(super) fn new<E>(action: &str, source: &CredentialSource, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let code = error.code().unwrap_or_default();
        let known = DENIED.iter().chain(&THROTTLED).chain(&GONE).any(|known| *known == code);
        let only_this_call = known || is_unknown(error);
        let unknown_credentials = UNKNOWN_CREDENTIALS.contains(&code);
        let (text, reason) = (error_text(action, source, error), failure_reason(error));
        Self { text, only_this_call, unknown_credentials, reason, unreachable: unreachable(error) }
    }

    /// No answer came within this time.
    pub(super) fn no_answer(action: &str, limit: Duration) -> Self {
        let (api, limit) = (api(action), limit.as_secs());
        let text = format!(
            "{action} was not answered within {limit} s; check the network, or the VPC endpoint for {api}"
        );
        let unanswered = Self::before_an_answer(text, FailureReason::Timeout);
        Self { only_this_call: true, unreachable: Some(Unreachable::NoAnswer), ..unanswered }
    }

    /// The error of a document that cannot be used.
    pub(super) fn fatal(text: impl Into<String>) -> Self {
        Self::before_an_answer(text, FailureReason::Response)
    }

    /// The error of a call that was not answered, or not made.
    pub(super) fn before_an_answer(text: impl Into<String>, reason: FailureReason) -> Self {
        Self {
            text: text.into(),
            only_this_call: false,
            unknown_credentials: false,
            reason,
            unreachable: None,
        }
    }
}

/// The service of an action.
fn api(action: &str) -> &'static str {
    if action.starts_with("dsql:") { "Aurora DSQL" } else { "RDS" }
}

/// The SDK has no type for a name that DNS does not have; the text is hyper-util's.
fn unreachable<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> Option<Unreachable> {
    match error {
        SdkError::DispatchFailure(_) if error_chain::find::<NoCredentials>(error).is_some() => None,
        SdkError::DispatchFailure(_) if error_chain::text(error).contains("dns error") => {
            Some(Unreachable::NoName)
        }
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => Some(Unreachable::NoAnswer),
        _ => None,
    }
}

/// Whether the endpoint does not know the call. An endpoint that is not AWS may answer with a status alone.
fn is_unknown<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (error.code().unwrap_or_default(), status) {
        (_, Some(501)) => true,
        ("", status) => matches!(status, Some(404 | 405 | 500)),
        (code, _) => UNKNOWN.contains(&code),
    }
}

fn failure_reason<E>(error: &SdkError<E, HttpResponse>) -> FailureReason
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if error_chain::find::<NoCredentials>(error).is_some() {
        return FailureReason::Credentials;
    }
    match error {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) if is_unknown(error) => {
            FailureReason::Response
        }
        SdkError::ServiceError(refusal) => match refusal.err().code().unwrap_or_default() {
            code if DENIED.contains(&code) => FailureReason::Denied,
            code if THROTTLED.contains(&code) => FailureReason::Throttled,
            code if EXPIRED.contains(&code)
                || UNKNOWN_CREDENTIALS.contains(&code)
                || BAD_SIGNATURE.contains(&code) =>
            {
                FailureReason::Credentials
            }
            code if WRONG_TIME.contains(&code) => FailureReason::Clock,
            "" => FailureReason::Response,
            _ => FailureReason::AwsError,
        },
        SdkError::TimeoutError(_) => FailureReason::Timeout,
        SdkError::DispatchFailure(_) => FailureReason::Unreachable,
        SdkError::ResponseError(_) => FailureReason::Response,
        _ => FailureReason::AwsError,
    }
}

fn error_text<E>(action: &str, source: &CredentialSource, error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if let Some(no_credentials) = error_chain::find::<NoCredentials>(error) {
        return no_credentials.to_string();
    }
    let api = api(action);
    match error {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) if is_unknown(error) => {
            let status = error.raw_response().map_or(0, |response| response.status().as_u16());
            format!(
                "the endpoint of the {api} API does not know {action} (status {status}), or an HTTP proxy answers in its place"
            )
        }
        SdkError::ServiceError(refusal) => refusal_text(action, source, refusal.err()),
        SdkError::TimeoutError(_) => {
            format!("{action} was not answered in time; check the network, or the VPC endpoint for {api}")
        }
        SdkError::DispatchFailure(_) => format!(
            "the {api} API could not be reached ({}); check the network, DNS, the region's name, or the VPC endpoint for {api}",
            error_chain::text(error)
        ),
        SdkError::ResponseError(_) => unreadable(action),
        _ => format!("{action} could not be sent: {}", error_chain::text(error)),
    }
}

fn refusal_text(action: &str, source: &CredentialSource, error: &impl ProvideErrorMetadata) -> String {
    let code = error.code().unwrap_or_default();
    let message = error.message().unwrap_or("no message");
    match code {
        _ if DENIED.contains(&code) => {
            let actions = if action.starts_with("dsql:") { DSQL_ACTIONS } else { ACTIONS };
            format!(
                "the AWS identity may not call {action}; allow {actions} in its IAM policy (AWS: {message})"
            )
        }
        _ if THROTTLED.contains(&code) => {
            format!(
                "AWS throttles {action} for this account: a server tries again within a minute, a client when it is started again; \
                 fewer replicas send fewer calls"
            )
        }
        _ if EXPIRED.contains(&code) => NoCredentials::refused_as_expired(source).to_string(),
        _ if UNKNOWN_CREDENTIALS.contains(&code) => format!(
            "AWS does not know the credentials of {source}, or the region is not enabled for the account; {}, or enable the region",
            source.remedy()
        ),
        _ if WRONG_TIME.contains(&code) => {
            "AWS rejects the time in the request; set the clock of this machine".into()
        }
        // The message is left out, because it quotes the signed request.
        _ if BAD_SIGNATURE.contains(&code) => format!(
            "AWS rejects the signature: the secret key of {source} does not belong to its access key, or the clock of \
             this machine is wrong; {}",
            source.remedy()
        ),
        // A response that does not come from RDS has no code, even with status 200.
        "" => unreadable(action),
        _ => format!("{action} failed with {code}: {message}"),
    }
}

/// The reason of a region that does not know credentials which are valid in another one.
pub(super) fn not_enabled(region: &str) -> String {
    format!(
        "the region is not enabled for the account: AWS knows the credentials in another region; enable {region} for the \
         account, or remove it from `rds.regions`"
    )
}

fn unreadable(action: &str) -> String {
    let api = api(action);
    format!(
        "the response to {action} is not a complete {api} document; check for an HTTP proxy that answers in place of AWS"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::fake_aws::aws_with;

    #[tokio::test]
    async fn missing_credentials_are_found_in_the_errors_of_the_sdk() {
        let aws = aws_with("http://127.0.0.1:1", Some("us-east-1"), None).await;
        let client = aws_sdk_rds::Client::new(&aws.config);
        let error = client.describe_db_instances().send().await.unwrap_err();
        let text = CallError::new("rds:DescribeDBInstances", &CredentialSource::Environment, &error).text;
        assert!(text.starts_with("no AWS credentials were found"), "{text}");
        assert!(text.contains("service account"), "the remedy is that of the credentials: {text}");
    }
}

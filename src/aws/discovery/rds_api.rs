//! Calls of the RDS API: pages, answers that were cut off, and the texts of its errors.

use std::error::Error;
use std::future::Future;

use aws_sdk_rds::config::http::HttpResponse;
use aws_sdk_rds::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_rds::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_rds::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_rds::types::Filter;

use crate::aws::credentials::{CredentialsFault, Origin, causes};

/// Entries in a page, the most that RDS gives (Amazon RDS API Reference, `MaxRecords`).
pub(super) const PAGE: i32 = 100;

/// Pages read before a list counts as endless: ten thousand entries, far above the quotas of RDS.
const MOST_PAGES: usize = 100;

/// One page, and the marker of the next if there is one.
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    pub(super) next: Option<String>,
}

/// All entries, or an error: never a part of them.
pub(super) async fn all<T, F>(fetch: impl Fn(Option<String>) -> F) -> Result<Vec<T>, String>
where
    F: Future<Output = Result<Page<T>, String>>,
{
    let mut entries = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let page = fetch(marker.clone()).await?;
        entries.extend(page.entries);
        match page.next.filter(|next| !next.is_empty()) {
            None => return Ok(entries),
            Some(next) if marker.as_ref() == Some(&next) => {
                return Err("AWS handed out the same page twice; half a list is not used".into());
            }
            Some(next) => marker = Some(next),
        }
    }
    Err(format!("AWS handed out more than {MOST_PAGES} pages; half a list is not used"))
}

/// The engines that speak the protocol of Postgres and know IAM authentication.
pub(super) fn engines() -> Filter {
    Filter::builder().name("engine").values("postgres").values("aurora-postgresql").build()
}

/// Refuses an answer that was cut off: the SDK reads a document only as far as it has to, and a list without its first
/// entry would pass for an empty one.
#[derive(Debug)]
pub(super) struct Whole;

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        if answer.status().is_success() && !answer.body().bytes().is_none_or(is_whole) {
            return Err("the document is cut off".into());
        }
        Ok(())
    }
}

/// The document of an action ends with the end of its root element `ACTIONResponse`
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/using-the-query-api.html>).
fn is_whole(document: &[u8]) -> bool {
    let last = document.trim_ascii_end().rsplit(|byte| *byte == b'<').next().unwrap_or_default();
    last.starts_with(b"/") && last.ends_with(b"Response>")
}

/// What the IAM policy of the proxy must allow for discovery.
const NEEDED: &str = "rds:DescribeDBInstances, rds:DescribeDBClusters and rds:DescribeDBClusterEndpoints";

/// A sentence about a failed call of `action`, such as `rds:DescribeDBInstances`.
pub(super) fn explain<E>(action: &str, origin: &Origin, error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if let Some(fault) = credentials_fault(error) {
        return fault.to_string();
    }
    match error {
        SdkError::ServiceError(refusal) => refused(action, origin, refusal.err()),
        SdkError::TimeoutError(_) => {
            format!("{action} was not answered in time; check the network, or the VPC endpoint for RDS")
        }
        SdkError::DispatchFailure(_) => format!(
            "the RDS API could not be reached ({}); check the network, DNS, the region's name, or the VPC endpoint for RDS",
            causes(error)
        ),
        SdkError::ResponseError(_) => unreadable(action),
        _ => format!("{action} could not be asked: {}", causes(error)),
    }
}

fn refused(action: &str, origin: &Origin, error: &impl ProvideErrorMetadata) -> String {
    let code = error.code().unwrap_or_default();
    let message = error.message().unwrap_or("no message");
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" => format!(
            "the AWS identity may not call {action}; allow {NEEDED} in its IAM policy (AWS says: {message})"
        ),
        "ExpiredToken" | "ExpiredTokenException" => CredentialsFault::refused_as_expired(origin).to_string(),
        "InvalidClientTokenId" | "UnrecognizedClientException" | "AuthFailure" | "OptInRequired" => format!(
            "AWS does not know the credentials of {origin}, or the region is not enabled for the account; {}",
            origin.remedy()
        ),
        "RequestExpired" | "RequestTimeTooSkewed" => {
            "AWS finds the request too old or too new; set the clock of this machine".into()
        }
        // The message quotes the request that was signed, which is nobody's business.
        "SignatureDoesNotMatch" | "IncompleteSignature" => format!(
            "AWS refuses the signature: the secret key of {origin} does not belong to its access key, or the clock of \
             this machine is wrong; {}",
            origin.remedy()
        ),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            format!(
                "AWS throttles {action} for this account; the next refresh tries again, fewer replicas ask less often"
            )
        }
        // What is no answer of RDS has no code either, with status 200 as well.
        "" => unreadable(action),
        _ => format!("{action} failed with {code}: {message}"),
    }
}

fn unreadable(action: &str) -> String {
    format!("the answer to {action} is not one of RDS; check for an HTTP proxy that answers in place of AWS")
}

/// The fault of our own credentials, which the SDK wraps several times.
fn credentials_fault(error: &(dyn Error + 'static)) -> Option<CredentialsFault> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<CredentialsFault>() {
            return Some(fault.clone());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::aws::fake_aws::aws_with;

    #[tokio::test]
    async fn endless_lists_are_refused() {
        let next = |marker: Option<String>| {
            let number: usize = marker.map_or(0, |marker| marker.parse().unwrap());
            ready(Ok(Page { entries: vec![number], next: Some((number + 1).to_string()) }))
        };
        assert!(all(next).await.unwrap_err().contains("more than 100 pages"));
        let same = |_| ready(Ok(Page { entries: vec![1], next: Some("again".into()) }));
        assert!(all(same).await.unwrap_err().contains("twice"));
    }

    #[tokio::test]
    async fn an_error_on_a_later_page_leaves_nothing() {
        let second_fails = |marker: Option<String>| {
            ready(match marker {
                None => Ok(Page { entries: vec![1], next: Some("2".into()) }),
                Some(_) => Err("no".to_owned()),
            })
        };
        assert_eq!(all(second_fails).await, Err("no".to_owned()));
    }

    #[tokio::test]
    async fn a_fault_of_the_credentials_is_found_in_the_sdks_wrapping() {
        let aws = aws_with("http://127.0.0.1:1", Some("us-east-1"), None).await;
        let client = aws_sdk_rds::Client::new(&aws.config);
        let error = client.describe_db_instances().send().await.unwrap_err();
        let text = explain("rds:DescribeDBInstances", &Origin::Environment, &error);
        assert!(text.starts_with("no AWS credentials were found"), "{text}");
        assert!(text.contains("service account"), "the remedy is that of the fault: {text}");
    }
}

//! Calls of the RDS API: pages, truncated responses, and the texts of errors.

use std::error::Error;
use std::future::Future;

use aws_sdk_rds::config::http::HttpResponse;
use aws_sdk_rds::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_rds::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_rds::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_rds::types::Filter;

use crate::aws::credentials::{CredentialSource, NoCredentials};
use crate::error_chain;

/// Entries in a page: the maximum of RDS (Amazon RDS API Reference, `MaxRecords`).
pub(super) const PAGE_SIZE: i32 = 100;

/// The limit for the pages of a list: ten thousand entries, far above the quotas of RDS.
const MAX_PAGES: usize = 100;

/// The actions that discovery needs in the IAM policy.
const ACTIONS: &str = "rds:DescribeDBInstances, rds:DescribeDBClusters and rds:DescribeDBClusterEndpoints";

/// One page, and the marker of the next one.
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    pub(super) next: Option<String>,
}

/// The entries of all pages, or an error: never an incomplete list. `fetch` gets the marker of the page.
pub(super) async fn all_pages<T, F>(fetch: impl Fn(Option<String>) -> F) -> Result<Vec<T>, String>
where
    F: Future<Output = Result<Page<T>, String>>,
{
    let mut entries = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let page = fetch(marker.clone()).await?;
        entries.extend(page.entries);
        match page.next.filter(|next| !next.is_empty()) {
            None => return Ok(entries),
            Some(next) if marker.as_ref() == Some(&next) => {
                return Err("AWS returned the same page twice; an incomplete list is not used".into());
            }
            Some(next) => marker = Some(next),
        }
    }
    Err(format!("AWS returned more than {MAX_PAGES} pages; an incomplete list is not used"))
}

/// The engines with the Postgres protocol and IAM authentication.
pub(super) fn engines() -> Filter {
    Filter::builder().name("engine").values("postgres").values("aurora-postgresql").build()
}

/// Rejects a truncated response. The SDK reads a document only as far as it must, so a list that ends
/// before its first entry would look empty.
#[derive(Debug)]
pub(super) struct RejectTruncated;

impl Intercept for RejectTruncated {
    fn name(&self) -> &'static str {
        "RejectTruncated"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if response.status().is_success() && !response.body().bytes().is_none_or(is_complete) {
            return Err("the document is truncated".into());
        }
        Ok(())
    }
}

/// Whether the document ends with the end tag of its root element, `ACTIONResponse`
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/using-the-query-api.html>).
fn is_complete(document: &[u8]) -> bool {
    let last = document.trim_ascii_end().rsplit(|byte| *byte == b'<').next().unwrap_or_default();
    last.starts_with(b"/") && last.ends_with(b"Response>")
}

/// Why a call of `action`, such as `rds:DescribeDBInstances`, failed, and what to do.
pub(super) fn error_text<E>(
    action: &str,
    source: &CredentialSource,
    error: &SdkError<E, HttpResponse>,
) -> String
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if let Some(no_credentials) = error_chain::find::<NoCredentials>(error) {
        return no_credentials.to_string();
    }
    match error {
        SdkError::ServiceError(refusal) => refusal_text(action, source, refusal.err()),
        SdkError::TimeoutError(_) => {
            format!("{action} was not answered in time; check the network, or the VPC endpoint for RDS")
        }
        SdkError::DispatchFailure(_) => format!(
            "the RDS API could not be reached ({}); check the network, DNS, the region's name, or the VPC endpoint for RDS",
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
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" => {
            format!(
                "the AWS identity may not call {action}; allow {ACTIONS} in its IAM policy (AWS: {message})"
            )
        }
        "ExpiredToken" | "ExpiredTokenException" => NoCredentials::refused_as_expired(source).to_string(),
        "InvalidClientTokenId" | "UnrecognizedClientException" | "AuthFailure" | "OptInRequired" => format!(
            "AWS does not know the credentials of {source}, or the region is not enabled for the account; {}",
            source.remedy()
        ),
        "RequestExpired" | "RequestTimeTooSkewed" => {
            "AWS rejects the time in the request; set the clock of this machine".into()
        }
        // The message is left out, because it quotes the signed request.
        "SignatureDoesNotMatch" | "IncompleteSignature" => format!(
            "AWS rejects the signature: the secret key of {source} does not belong to its access key, or the clock of \
             this machine is wrong; {}",
            source.remedy()
        ),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            format!(
                "AWS throttles {action} for this account; the next refresh tries again, fewer replicas send fewer calls"
            )
        }
        // A response that does not come from RDS has no code, even with status 200.
        "" => unreadable(action),
        _ => format!("{action} failed with {code}: {message}"),
    }
}

fn unreadable(action: &str) -> String {
    format!(
        "the response to {action} is not a complete RDS document; check for an HTTP proxy that answers in place of AWS"
    )
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
        assert!(all_pages(next).await.unwrap_err().contains("more than 100 pages"));
        let same = |_| ready(Ok(Page { entries: vec![1], next: Some("again".into()) }));
        assert!(all_pages(same).await.unwrap_err().contains("twice"));
    }

    #[tokio::test]
    async fn an_error_on_a_later_page_discards_the_earlier_pages() {
        let second_fails = |marker: Option<String>| {
            ready(match marker {
                None => Ok(Page { entries: vec![1], next: Some("2".into()) }),
                Some(_) => Err("no".to_owned()),
            })
        };
        assert_eq!(all_pages(second_fails).await, Err("no".to_owned()));
    }

    #[tokio::test]
    async fn missing_credentials_are_found_in_the_errors_of_the_sdk() {
        let aws = aws_with("http://127.0.0.1:1", Some("us-east-1"), None).await;
        let client = aws_sdk_rds::Client::new(&aws.config);
        let error = client.describe_db_instances().send().await.unwrap_err();
        let text = error_text("rds:DescribeDBInstances", &CredentialSource::Environment, &error);
        assert!(text.starts_with("no AWS credentials were found"), "{text}");
        assert!(text.contains("service account"), "the remedy is that of the credentials: {text}");
    }
}

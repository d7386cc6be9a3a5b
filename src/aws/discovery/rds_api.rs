//! Calls of the RDS API: pages and truncated responses.

use std::future::Future;

use aws_sdk_rds::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_rds::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_rds::error::BoxError;
use aws_sdk_rds::types::Filter;

use super::call_error::CallError;

/// Entries in a page: the maximum of RDS (Amazon RDS API Reference, `MaxRecords`).
pub(super) const PAGE_SIZE: i32 = 100;

/// The limit for the pages of a list: ten thousand entries, far above the quotas of RDS.
const MAX_PAGES: usize = 100;

/// One page, and the marker of the next one.
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    pub(super) next: Option<String>,
}

/// The entries of all pages, or an error: never an incomplete list. `fetch` gets the marker of the page.
pub(super) async fn all_pages<T, F>(fetch: impl Fn(Option<String>) -> F) -> Result<Vec<T>, CallError>
where
    F: Future<Output = Result<Page<T>, CallError>>,
{
    let mut entries = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let page = fetch(marker.clone()).await?;
        entries.extend(page.entries);
        match page.next.filter(|next| !next.is_empty()) {
            None => return Ok(entries),
            Some(next) if marker.as_ref() == Some(&next) => {
                return Err(CallError::fatal(
                    "AWS returned the same page twice; an incomplete list is not used",
                ));
            }
            Some(next) => marker = Some(next),
        }
    }
    Err(CallError::fatal(format!("AWS returned more than {MAX_PAGES} pages; an incomplete list is not used")))
}

/// The engines with the Postgres protocol and IAM authentication.
pub(super) const ENGINES: [&str; 2] = ["postgres", "aurora-postgresql"];

/// The filter for these engines.
pub(super) fn engines() -> Filter {
    Filter::builder().name("engine").set_values(Some(ENGINES.map(str::to_owned).into())).build()
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

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn endless_lists_are_refused() {
        let next = |marker: Option<String>| {
            let number: usize = marker.map_or(0, |marker| marker.parse().unwrap());
            ready(Ok(Page { entries: vec![number], next: Some((number + 1).to_string()) }))
        };
        assert!(all_pages(next).await.unwrap_err().text.contains("more than 100 pages"));
        let same = |_| ready(Ok(Page { entries: vec![1], next: Some("again".into()) }));
        assert!(all_pages(same).await.unwrap_err().text.contains("twice"));
    }

    #[tokio::test]
    async fn an_error_on_a_later_page_discards_the_earlier_pages() {
        let second_fails = |marker: Option<String>| {
            ready(match marker {
                None => Ok(Page { entries: vec![1], next: Some("2".into()) }),
                Some(_) => Err(CallError::fatal("no")),
            })
        };
        assert_eq!(all_pages(second_fails).await.unwrap_err().text, "no");
    }
}

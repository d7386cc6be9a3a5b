//! Answers that end before their end.

use aws_sdk_rds::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_rds::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_rds::error::BoxError;

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

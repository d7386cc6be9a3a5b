//! Reads the time by AWS from the responses of its APIs.

use std::time::SystemTime;

use aws_sdk_rds::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_rds::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_rds::error::BoxError;
use aws_sdk_rds::primitives::{DateTime, DateTimeFormat};

use crate::catalog::AwsClock;

/// Reports the `Date` of each response (RFC 9110 section 6.6.1), errors included. For clients of AWS APIs only: the endpoints of
/// containers and machines have the clock of this machine.
#[derive(Debug)]
pub(super) struct ReportDate(pub(super) AwsClock);

impl Intercept for ReportDate {
    fn name(&self) -> &'static str {
        "ReportDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let time = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(time) = time.and_then(|time| SystemTime::try_from(time).ok()) {
            self.0.report(time);
        }
        Ok(())
    }
}

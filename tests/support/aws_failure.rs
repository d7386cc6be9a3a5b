//! Failures that the fake AWS endpoint injects, and the rules when.

use std::time::Duration;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsFailure {
    /// Too many requests; the SDK retries.
    Throttling,
    /// No policy allows the call.
    AccessDenied,
    /// The endpoint does not know the action.
    Unknown,
    /// The credentials have expired.
    Expired,
    /// The region does not know the credentials.
    UnknownCredentials,
    /// Status 500; the SDK retries.
    Internal,
    /// Status 200 with an HTML page, as a captive portal or an HTTP proxy sends it.
    Malformed,
    /// Status 200 with XML that ends before its first entry. The SDK reads it as an empty list.
    Truncated,
    /// The right answer, after this delay.
    Slow(Duration),
}

/// Which calls fail: all of them, unless limited.
#[derive(Clone, Debug)]
pub struct Rule {
    failure: AwsFailure,
    action: Option<String>,
    region: Option<String>,
    left: Option<usize>,
}

impl Rule {
    /// Every call fails.
    pub fn every(failure: AwsFailure) -> Self {
        Self { failure, action: None, region: None, left: None }
    }

    /// Only calls of this action fail.
    #[must_use]
    pub fn of(self, action: &str) -> Self {
        Self { action: Some(action.to_owned()), ..self }
    }

    /// Only calls for this region fail.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..self }
    }

    /// Only the first `count` calls fail.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        Self { left: Some(count), ..self }
    }

    /// Whether only calls of one action fail.
    pub(super) fn names_an_action(&self) -> bool {
        self.action.is_some()
    }

    /// The failure of this call, if the rule applies. Counts it.
    pub(super) fn applies(&mut self, action: &str, region: &str) -> Option<AwsFailure> {
        let fits = self.action.as_deref().is_none_or(|only| only == action)
            && self.region.as_deref().is_none_or(|only| only == region);
        if !fits || self.left == Some(0) {
            return None;
        }
        self.left = self.left.map(|left| left - 1);
        Some(self.failure)
    }
}

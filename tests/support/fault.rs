//! What can go wrong with an AWS call, and when.

use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Too many requests; the SDK tries again.
    Throttling,
    /// A policy is missing.
    AccessDenied,
    /// The credentials have expired.
    Expired,
    /// Status 500; the SDK tries again.
    Internal,
    /// A successful answer that is not what RDS says: a page for humans, as a captive portal or a proxy sends it.
    Malformed,
    /// A successful answer whose XML ends before its first entry. The SDK takes that for an empty list.
    Truncated,
    /// The right answer, after this long.
    Slow(Duration),
}

/// When it goes wrong: always, until limited.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    action: Option<String>,
    region: Option<String>,
    left: Option<usize>,
}

impl Rule {
    /// On every call.
    pub fn every(fault: Fault) -> Self {
        Self { fault, action: None, region: None, left: None }
    }

    /// On calls of this action alone.
    #[must_use]
    pub fn of(self, action: &str) -> Self {
        Self { action: Some(action.to_owned()), ..self }
    }

    /// On calls for this region alone.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        Self { region: Some(region.to_owned()), ..self }
    }

    /// So many times and then no more.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        Self { left: Some(count), ..self }
    }

    /// What goes wrong with this call; counts it.
    pub(super) fn applies(&mut self, action: &str, region: &str) -> Option<Fault> {
        let fits = self.action.as_deref().is_none_or(|only| only == action)
            && self.region.as_deref().is_none_or(|only| only == region);
        if !fits || self.left == Some(0) {
            return None;
        }
        self.left = self.left.map(|left| left - 1);
        Some(self.fault)
    }
}

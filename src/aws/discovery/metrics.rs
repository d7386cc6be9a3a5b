//! The metrics of regions.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Label, Unit, counter, describe_counter, describe_gauge, gauge};

const FAILURES: &str = "rds_auth_proxy_discovery_failures_total";
const AGE: &str = "rds_auth_proxy_discovery_age_seconds";

/// Why a region could not be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureReason {
    /// AWS refuses the call with another code.
    AwsError,
    /// AWS rejects the time of the request.
    Clock,
    /// A bug of this program.
    Crashed,
    /// There are no valid credentials, or the region is not enabled.
    Credentials,
    /// The IAM policy does not allow the call.
    Denied,
    /// The response is no document of RDS.
    Response,
    /// The account makes too many calls.
    Throttled,
    /// No response came in time.
    Timeout,
    /// The API cannot be reached.
    Unreachable,
}

impl FailureReason {
    const ALL: [Self; 9] = [
        Self::AwsError,
        Self::Clock,
        Self::Crashed,
        Self::Credentials,
        Self::Denied,
        Self::Response,
        Self::Throttled,
        Self::Timeout,
        Self::Unreachable,
    ];

    /// The value of the label `reason`.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::AwsError => "aws_error",
            Self::Clock => "clock",
            Self::Crashed => "crashed",
            Self::Credentials => "credentials",
            Self::Denied => "denied",
            Self::Response => "response",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Describes the metrics to the recorder.
pub fn describe() {
    describe_counter!(
        FAILURES,
        "Listings of a region's RDS databases that failed, by reason; its last list stays in use."
    );
    describe_gauge!(AGE, Unit::Seconds, "Age of the list of RDS databases, by region.");
}

/// Makes the counters of this region, at 0: a counter that appears with its first failure shows no increase.
pub(super) fn expect(account: Option<&Arc<str>>, region: &str) {
    for reason in FailureReason::ALL {
        failures(account, region, reason).increment(0);
    }
}

/// Counts a listing of this region that failed.
pub(super) fn failed(account: Option<&Arc<str>>, region: &str, reason: FailureReason) {
    failures(account, region, reason).increment(1);
}

/// Sets the age of this region's list.
pub(super) fn age(account: Option<&Arc<str>>, region: &str, age: Duration) {
    gauge!(AGE, labels(account, region)).set(age.as_secs_f64());
}

fn failures(account: Option<&Arc<str>>, region: &str, reason: FailureReason) -> Counter {
    let mut labels = labels(account, region);
    labels.push(Label::from_static_parts("reason", reason.label()));
    counter!(FAILURES, labels)
}

/// The region, and the account where the configuration names one.
fn labels(account: Option<&Arc<str>>, region: &str) -> Vec<Label> {
    let account = account.map(|account| Label::new("account", Arc::clone(account)));
    [Label::new("region", region.to_owned())].into_iter().chain(account).collect()
}

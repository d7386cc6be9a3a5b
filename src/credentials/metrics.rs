//! The metrics. Those that CredProxy has keep their names and labels.

use std::time::{Duration, SystemTime};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::outcome::Outcome;

const REQUESTS: &str = "credproxy_requests_total";
const DURATION: &str = "credproxy_request_duration_seconds";
const ACTIVE: &str = "credproxy_active_services_total";
const INFO: &str = "credproxy_app_info_info";
const REFRESHES: &str = "rds_auth_proxy_credentials_refreshes_total";
const FAILING: &str = "rds_auth_proxy_credentials_failing";
const END: &str = "rds_auth_proxy_credentials_expiry_timestamp_seconds";

/// The histograms, in seconds.
pub const HISTOGRAMS: [&str; 1] = [DURATION];

/// The service in requests without a token that names one, as in CredProxy.
const UNKNOWN: &str = "unknown";

/// Describes the metrics to the recorder.
pub fn describe() {
    describe_counter!(REQUESTS, "Requests for credentials, by service and result.");
    describe_histogram!(DURATION, "Duration of requests for credentials, by service and result.");
    describe_gauge!(ACTIVE, "Services that are served.");
    describe_gauge!(INFO, "Always 1; its labels are the program and its version.");
    describe_counter!(REFRESHES, "Attempts to get credentials from STS, by service and result.");
    describe_gauge!(FAILING, "1 while the last attempt of the service failed, else 0.");
    describe_gauge!(END, "When the credentials of the service expire, in seconds since 1970; 0 without any.");
    gauge!(INFO, "name" => env!("CARGO_PKG_NAME"), "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

pub(super) fn requested(service: Option<&str>, outcome: Outcome, duration: Duration) {
    let (service, result) = (service.unwrap_or(UNKNOWN).to_owned(), outcome.word());
    counter!(REQUESTS, "result" => result, "service_name" => service.clone()).increment(1);
    histogram!(DURATION, "result" => result, "service_name" => service).record(duration);
}

pub(super) fn active_services(count: usize) {
    gauge!(ACTIVE).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

/// The counters exist from the start, so that the first failure is an increase.
pub(super) fn expect_service(service: &str) {
    for result in ["success", "error"] {
        counter!(REFRESHES, "service" => service.to_owned(), "result" => result).increment(0);
    }
}

pub(super) fn refreshed(service: &str, expires: SystemTime) {
    counter!(REFRESHES, "service" => service.to_owned(), "result" => "success").increment(1);
    gauge!(FAILING, "service" => service.to_owned()).set(0.0);
    let end = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(END, "service" => service.to_owned()).set(end.as_secs_f64());
}

pub(super) fn refresh_failed(service: &str) {
    counter!(REFRESHES, "service" => service.to_owned(), "result" => "error").increment(1);
    gauge!(FAILING, "service" => service.to_owned()).set(1.0);
}

/// It is not served any more, so nothing of it fails or expires.
pub(super) fn forget_service(service: &str) {
    gauge!(FAILING, "service" => service.to_owned()).set(0.0);
    gauge!(END, "service" => service.to_owned()).set(0.0);
}

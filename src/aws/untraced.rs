//! Calls of the SDK without its log, which would contain credentials.
//!
//! At trace level aws-sigv4 logs the canonical request. It redacts the headers but not the query, which has the session
//! token here, and it does not redact the header with the SSO token. In all other calls the SDK redacts its secrets.
//! Nothing is lost: the caller logs the error of a failed call.

use std::future::Future;

use tracing::instrument::WithSubscriber;
use tracing::subscriber::{NoSubscriber, with_default};

/// Calls the SDK without its log.
pub(super) fn call_untraced<T>(call: impl FnOnce() -> T) -> T {
    with_default(NoSubscriber::new(), call)
}

/// Awaits the SDK without its log.
pub(super) async fn untraced<F: Future>(call: F) -> F::Output {
    call.with_subscriber(NoSubscriber::new()).await
}

//! Keeps the SDK from writing credentials into the log.
//!
//! At its most verbose level aws-sigv4 writes the canonical request, of which it hides the headers but not the query,
//! and ours has the session token there; and the header that carries the SSO token is not among those that it hides.
//! In all other calls the SDK hides what is secret. What matters of a failed call is in its error, which is logged elsewhere.

use std::future::Future;

use tracing::instrument::WithSubscriber;
use tracing::subscriber::{NoSubscriber, with_default};

/// Calls the SDK without its log.
pub(super) fn quietly<T>(call: impl FnOnce() -> T) -> T {
    with_default(NoSubscriber::new(), call)
}

/// Awaits the SDK without its log.
pub(super) async fn quiet<F: Future>(call: F) -> F::Output {
    call.with_subscriber(NoSubscriber::new()).await
}

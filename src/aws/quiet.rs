//! Keeps the SDK from writing credentials into the log.
//!
//! At its most verbose level it writes canonical requests and headers, session token included. What matters of a
//! failed call is in its error, which is logged elsewhere.

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

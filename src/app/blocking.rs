//! Work that may block: it reads files, or generates keys.

use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

/// Does the work on a thread where it may block. A panic goes on here. Absent when the runtime ends.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(error) => error.try_into_panic().map_or(None, |panic| resume_unwind(panic)),
    }
}

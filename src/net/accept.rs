//! The accept loop: one task for each connection, a bound on their number, and an orderly end.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::{Accepted, Listener};

/// As many connections as a loop may have open that leaves the limit to its caller.
pub const UNLIMITED: usize = Semaphore::MAX_PERMITS;

/// Accepts connections until `stop` resolves, and gives each one to `serve`, in a task that ends when its future does.
/// Then the listener is closed, and the call returns when the last task has ended.
///
/// With `limit` connections open the loop does not accept more; they wait in the listen queue of the system.
pub async fn accept<S>(
    mut listener: Listener,
    limit: usize,
    stop: impl Future<Output = ()>,
    mut serve: impl FnMut(Accepted) -> S,
) where
    S: Future<Output = ()> + Send + 'static,
{
    let open = Arc::new(Semaphore::new(limit));
    let connections = TaskTracker::new();
    tokio::pin!(stop);
    loop {
        let next = async {
            let permit = Arc::clone(&open).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let connection = serve(accepted);
        connections.spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

//! The threads that the world's servers and child processes live on.
//!
//! They are shared by all tests of a process and are never stopped, so a test that blocks its own thread does not
//! block the database behind it, and a child process tied to its parent thread lives as long as the test process.

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(2).thread_name("world").enable_all().build().unwrap()
});

/// Starts `future` on the world's threads.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    RUNTIME.spawn(future)
}

/// Runs `future` on the world's threads and waits for it. What it opens belongs to these threads from then on.
pub async fn within<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match RUNTIME.spawn(future).await {
        Ok(output) => output,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => panic!("the world's runtime was stopped: {error}"),
    }
}

//! The runtime of the world's servers and child processes.
//!
//! All tests of a process share it, and it never stops: a test that blocks its thread does not block the fake servers,
//! and a child process tied to its parent thread lives as long as the test process.

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(2).thread_name("world").enable_all().build().unwrap()
});

/// Spawns `future` on the world's runtime.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    RUNTIME.spawn(future)
}

/// Runs `future` on the world's runtime and waits for it. Its sockets and tasks stay with that runtime.
pub async fn within<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match RUNTIME.spawn(future).await {
        Ok(output) => output,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => panic!("the world's runtime has stopped: {error}"),
    }
}

//! The threads that everything asynchronous runs on.

use std::time::Duration;

use tokio::runtime::Builder;

use super::failure::Failure;

/// How long work that cannot be interrupted, such as a name lookup, is waited for at the end.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs the work to its end on all processors.
pub(super) fn run(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_name("rds-auth-proxy")
        .build()
        .map_err(|error| Failure::Runtime(format!("the threads cannot be started: {error}")))?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WAIT);
    outcome
}

//! The threads of the asynchronous runtime.

use std::time::Duration;

use tokio::runtime::Builder;

use super::CommandError;

/// How long the end of the process waits for work that cannot be interrupted, such as a name lookup.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs the work to its end on all processors.
pub(crate) fn run(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_name("rds-auth-proxy")
        .build()
        .map_err(|error| CommandError::Runtime(format!("the threads cannot be started: {error}")))?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WAIT);
    outcome
}

//! Tasks that run beside the connections. A panic in one is logged; then the task starts again, or the process ends.

use std::any::Any;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::error;

use crate::catalog::Boxed;
use crate::process::CommandError;

/// The pause between a panic and the next start of a task.
const PAUSE: Duration = Duration::from_secs(1);

/// How long listeners may take to answer their last requests when the process ends.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

/// Owns the tasks; they end when it is dropped.
#[derive(Default)]
pub(super) struct Supervisor {
    tasks: JoinSet<Result<(), CommandError>>,
    /// Those that stop in an orderly way.
    listeners: TaskTracker,
    stop: CancellationToken,
}

impl Supervisor {
    /// Runs a task until it returns. After a panic it starts again with the state that the panic left.
    pub(super) fn restart_on_panic<S, T>(&mut self, name: &'static str, mut state: S, task: T)
    where
        S: Send + 'static,
        T: for<'a> Fn(&'a mut S) -> Boxed<'a, ()> + Send + 'static,
    {
        self.tasks.spawn(async move {
            while let Err(panic) = run(task(&mut state)).await {
                error!(task = name, panic, "a task panicked; it starts again");
                sleep(PAUSE).await;
            }
            Ok(())
        });
    }

    /// Runs a task that cannot start again, because a panic destroys its state: the process ends after one.
    pub(super) fn end_on_panic(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let running = self.listeners.token();
        self.tasks.spawn(async move {
            let ended = run(task).await;
            drop(running);
            ended.map_err(|panic| {
                error!(task = name, panic, "a task panicked; the proxy stops");
                CommandError::runtime(format!(
                    "the task \"{name}\" panicked ({panic}), which is a fault of rds-auth-proxy: please report it"
                ))
            })
        });
    }

    /// Cancelled when the process ends, after the last session.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// While it exists, [`Supervisor::end`] waits for the last requests. For tasks that stop by [`Supervisor::stop`].
    pub(super) fn last_requests(&self) -> TaskTrackerToken {
        self.listeners.token()
    }

    /// Ends all tasks, after the last requests of the listeners.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.listeners.close();
        let _ended = timeout(LAST_REQUESTS, self.listeners.wait()).await;
    }

    /// Returns after a panic that ends the process, with the error to end with.
    pub(super) async fn failed(&mut self) -> CommandError {
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(Err(error)) = ended {
                return error;
            }
        }
        pending().await
    }
}

/// Runs a task to its end, or to its panic, whose text it returns.
async fn run(task: impl Future<Output = ()>) -> Result<(), String> {
    // A task that starts again works on state that is valid after each of its steps.
    AssertUnwindSafe(task).catch_unwind().await.map_err(|panic| text(panic.as_ref()))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a text").to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use parking_lot::Mutex;
    use tokio::time::{Instant, timeout};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        /// Collects the lines of this thread until the guard is dropped.
        fn start(&self) -> tracing::subscriber::DefaultGuard {
            let log = self.clone();
            let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone());
            tracing::subscriber::set_default(lines.finish())
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }
    }

    /// Panics twice, then returns.
    fn unsteady(starts: &AtomicU32) -> Boxed<'_, ()> {
        Box::pin(async {
            let start = starts.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(start > 2, "start {start} fails");
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_logged_and_starts_again_after_a_second() {
        let log = Log::default();
        let _logging = log.start();
        let (begun, starts) = (Instant::now(), Arc::new(AtomicU32::new(0)));
        let mut supervisor = Supervisor::default();
        supervisor.restart_on_panic("unsteady", Arc::clone(&starts), |starts| unsteady(starts));
        assert!(timeout(Duration::from_mins(1), supervisor.failed()).await.is_err(), "the process goes on");
        assert_eq!(starts.load(Ordering::Relaxed), 3);
        assert!(begun.elapsed() >= 2 * PAUSE);
        let text = log.text();
        assert_eq!(text.matches("ERROR").count(), 2, "{text}");
        assert!(text.contains("task=\"unsteady\"") && text.contains("start 2 fails"), "{text}");
    }

    #[tokio::test]
    async fn a_task_that_cannot_start_again_ends_the_process_with_a_sentence() {
        let log = Log::default();
        let _logging = log.start();
        let mut supervisor = Supervisor::default();
        supervisor.end_on_panic("steady", async {});
        supervisor.end_on_panic("listener", async { panic!("no {}", "more") });
        let error = supervisor.failed().await;
        let CommandError::Runtime(sentence) = &error else { panic!("{error:?}") };
        assert!(sentence.starts_with("the task \"listener\" panicked (no more)"), "{sentence}");
        let text = log.text();
        assert!(text.contains("ERROR") && text.contains("task=\"listener\""), "{text}");
    }
}

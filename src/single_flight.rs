//! One computation at a time, shared by all callers.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinHandle};

/// Runs one computation at a time. A caller joins the running one, or starts it; all of them share its result.
///
/// The computation continues when its callers go away, and each caller may limit its own wait. A finished result is
/// not kept: the next caller starts another computation.
pub struct SingleFlight<T> {
    running: Mutex<Option<Running<T>>>,
}

/// A running computation that a caller has joined.
pub struct InFlight<T>(watch::Receiver<Outcome<T>>);

/// Why a computation ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlightError {
    /// It panicked.
    #[error("{0}")]
    Panicked(String),
    /// [`SingleFlight::abort`] or the end of the runtime stopped it.
    #[error("the task was aborted")]
    Aborted,
}

/// Absent while the computation runs.
type Outcome<T> = Option<Result<T, FlightError>>;

struct Running<T> {
    /// Dropped when the computation has ended, and its result with the last caller.
    outcome: Weak<watch::Sender<Outcome<T>>>,
    task: AbortHandle,
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Joins the running computation. If there is none, calls `start`, which spawns one.
    pub fn join_or_start(&self, start: impl FnOnce() -> JoinHandle<T>) -> InFlight<T> {
        let mut running = self.running.lock();
        if let Some(joined) = running.as_ref().and_then(Running::join) {
            return joined;
        }
        let task = start();
        let outcome = Arc::new(watch::Sender::new(None));
        let joined = InFlight(outcome.subscribe());
        *running = Some(Running { outcome: Arc::downgrade(&outcome), task: task.abort_handle() });
        tokio::spawn(async move {
            outcome.send_replace(Some(task.await.map_err(FlightError::from)));
        });
        joined
    }

    /// Joins the running computation, if there is one.
    pub fn join(&self) -> Option<InFlight<T>> {
        self.running.lock().as_ref().and_then(Running::join)
    }

    /// Stops the running computation at its next `await`; its callers get [`FlightError::Aborted`]. The next caller
    /// starts another one. A computation on a blocking thread cannot be stopped and continues beside the next.
    pub fn abort(&self) {
        if let Some(running) = self.running.lock().take() {
            running.task.abort();
        }
    }
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        Self { running: Mutex::new(None) }
    }
}

impl<T> Running<T> {
    fn join(&self) -> Option<InFlight<T>> {
        let outcome = self.outcome.upgrade()?;
        let is_running = outcome.borrow().is_none();
        is_running.then(|| InFlight(outcome.subscribe()))
    }
}

impl<T: Clone> InFlight<T> {
    /// The result, when the computation has ended.
    pub async fn result(mut self) -> Result<T, FlightError> {
        let ended = self.0.wait_for(Option::is_some).await.ok();
        ended.and_then(|outcome| outcome.clone()).unwrap_or(Err(FlightError::Aborted))
    }
}

impl From<JoinError> for FlightError {
    fn from(error: JoinError) -> Self {
        if error.is_cancelled() { Self::Aborted } else { Self::Panicked(error.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::task::spawn_blocking;
    use tokio::time::{Instant, sleep, timeout};

    use super::*;

    const LASTS: Duration = Duration::from_secs(10);

    /// Computations that last [`LASTS`] and return their number.
    #[derive(Default)]
    struct Counted {
        flights: SingleFlight<usize>,
        started: Arc<AtomicUsize>,
    }

    impl Counted {
        fn join_or_start(&self) -> InFlight<usize> {
            let started = Arc::clone(&self.started);
            self.flights.join_or_start(|| {
                tokio::spawn(async move {
                    let number = started.fetch_add(1, Ordering::SeqCst) + 1;
                    sleep(LASTS).await;
                    number
                })
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn callers_share_the_result_of_one_computation() {
        let counted = Counted::default();
        assert!(counted.flights.join().is_none());
        let first = counted.join_or_start();
        sleep(LASTS / 2).await;
        let begin = Instant::now();
        let second = counted.join_or_start();
        let third = counted.flights.join().expect("one is running");
        let results = tokio::join!(first.result(), second.result(), third.result());
        assert_eq!(results, (Ok(1), Ok(1), Ok(1)));
        assert_eq!(begin.elapsed(), LASTS / 2);
        assert!(counted.flights.join().is_none());
        assert_eq!(counted.join_or_start().result().await, Ok(2), "a finished result is not kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_stops_waiting_leaves_the_computation_to_the_others() {
        let counted = Counted::default();
        timeout(LASTS / 2, counted.join_or_start().result()).await.unwrap_err();
        drop(counted.join_or_start());
        let begin = Instant::now();
        assert_eq!(counted.join_or_start().result().await, Ok(1));
        assert_eq!(begin.elapsed(), LASTS / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_computation_without_callers_runs_to_its_end() {
        let counted = Counted::default();
        drop(counted.join_or_start());
        sleep(LASTS / 2).await;
        assert!(counted.flights.join().is_some());
        sleep(LASTS).await;
        assert!(counted.flights.join().is_none());
        assert_eq!(counted.started.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_aborted_computation_is_an_error_and_the_next_caller_starts_another() {
        let counted = Counted::default();
        let first = counted.join_or_start();
        sleep(LASTS / 2).await;
        counted.flights.abort();
        let second = counted.join_or_start();
        let begin = Instant::now();
        assert_eq!(first.result().await, Err(FlightError::Aborted));
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert_eq!(second.result().await, Ok(2));
        counted.flights.abort();
    }

    #[tokio::test]
    async fn a_panic_is_an_error_for_every_caller() {
        let flights = SingleFlight::<()>::default();
        let panics = || async { panic!("boom") };
        let (first, second) = (
            flights.join_or_start(|| tokio::spawn(panics())),
            flights.join_or_start(|| unreachable!("one is running")),
        );
        for result in [first.result().await, second.result().await] {
            let Err(FlightError::Panicked(text)) = result else { panic!("{result:?}") };
            assert!(text.contains("boom"), "{text}");
        }
        let blocking = flights.join_or_start(|| spawn_blocking(|| panic!("bang")));
        assert!(blocking.result().await.unwrap_err().to_string().contains("bang"));
        assert_eq!(flights.join_or_start(|| tokio::spawn(async {})).result().await, Ok(()));
    }

    #[test]
    fn a_runtime_that_ends_is_an_error_and_not_a_hang() {
        let flights = SingleFlight::<()>::default();
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let first = runtime();
        let joined = first.block_on(async { flights.join_or_start(|| tokio::spawn(std::future::pending())) });
        drop(first);
        runtime().block_on(async {
            assert_eq!(joined.result().await, Err(FlightError::Aborted));
            assert_eq!(flights.join_or_start(|| tokio::spawn(async {})).result().await, Ok(()));
        });
    }
}

//! Logins for which a person is needed, and for which connections wait.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// Whether a person logs in now. Clones share it.
#[derive(Clone, Default)]
pub struct PersonLogin(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Default)]
struct State {
    is_running: bool,
    /// When the last one ended.
    ended: Option<Instant>,
}

/// A login that runs until this is dropped.
pub struct RunningLogin(PersonLogin);

impl PersonLogin {
    /// A login begins. Only one runs at a time.
    #[must_use]
    pub fn begin(&self) -> RunningLogin {
        self.0.send_modify(|state| state.is_running = true);
        RunningLogin(self.clone())
    }

    /// When the last login ended; waits while one runs. Absent before the first one.
    pub async fn ended(&self) -> Option<Instant> {
        let mut state = self.0.subscribe();
        let idle = state.wait_for(|state| !state.is_running).await;
        idle.ok().and_then(|state| state.ended)
    }
}

impl Drop for RunningLogin {
    fn drop(&mut self) {
        self.0.0.send_replace(State { is_running: false, ended: Some(Instant::now()) });
    }
}

//! Logins under way: from the dial of the hop until it is ready for queries. While a login runs it holds a connection of
//! the database without a credential, so few may run at once, and a login beyond the limits waits for its turn.
//!
//! - `max_logins_per_target` and `max_logins_per_peer` limit them (`queue.rs` has the order). Logins over a Unix socket have
//!   no address: one owner shares them all, so only the limit per target applies.
//! - A login that waits for the application's password, a minute at most, makes room for newer ones at a full target or for
//!   a peer at its limit: connections that never answer cannot keep others out.
//! - Where all slots are in use, a login that waits for its turn or for the application makes room for a new connection.
//! - A refused login waits before its application reads the refusal (`refusals.rs`).

mod entry;
mod queue;
mod refusals;
#[cfg(test)]
mod tests;
mod usage;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::entry::{Entry, GRACE, Stage};
use self::queue::Queue;
use self::refusals::Refusals;
use super::slots::Slot;
use super::{Failure, Limits, metrics};

/// What a login waits for that was dropped.
const PASSWORD: &str = "the application's password";

/// The logins of one engine.
#[derive(Clone)]
pub(super) struct Logins {
    state: Arc<Mutex<State>>,
}

struct State {
    queue: Queue,
    refusals: Refusals,
}

/// What counts when a login arrives.
pub(super) struct Arrival<'a> {
    /// The network of its peer.
    pub(super) peer: Option<IpAddr>,
    /// The name of the target.
    pub(super) target: &'a str,
    /// The application has nothing more to send.
    pub(super) has_password: bool,
    /// Its slot, which is free when it has to make room.
    pub(super) slot: Option<Arc<Slot>>,
}

/// One login, from its arrival to its end.
pub(super) struct LoginPermit {
    logins: Logins,
    number: u64,
    peer: Option<IpAddr>,
    target: Arc<str>,
    wake: Arc<Notify>,
    has_to_wait: bool,
    gauge: Option<metrics::Login>,
}

impl Logins {
    pub(super) fn new(limits: &Limits) -> Self {
        let state = State { queue: Queue::new(limits), refusals: Refusals::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Applies to the logins that wait and to those to come.
    pub(super) fn set_limits(&self, limits: &Limits) {
        self.state.lock().queue.set_limits(limits, Instant::now());
    }

    /// A login. It may have to wait, see [`LoginPermit::begin`].
    pub(super) fn arrive(&self, arrival: Arrival<'_>) -> LoginPermit {
        let Arrival { peer, target, has_password, slot } = arrival;
        let (target, wake) = (Arc::from(target), Arc::new(Notify::new()));
        let entry = Entry {
            peer,
            target: Arc::clone(&target),
            has_password,
            stage: Stage::Waiting,
            slot,
            wake: Arc::clone(&wake),
        };
        let (number, stage) = self.state.lock().queue.arrive(entry, Instant::now());
        let has_to_wait = stage == Stage::Waiting;
        LoginPermit { logins: self.clone(), number, peer, target, wake, has_to_wait, gauge: None }
    }

    /// Drops a login that waits for its turn or for its application, so that a connection of this peer gets its slot. Returns
    /// whether there was one.
    pub(super) fn make_room(&self, peer: Option<IpAddr>) -> bool {
        self.state.lock().queue.drop_one(peer, Instant::now())
    }
}

impl LoginPermit {
    /// Waits until the login may begin, for `limit` at most. Returns whether it had to wait.
    pub(super) async fn begin(&mut self, limit: Duration) -> Result<bool, Failure> {
        if self.has_to_wait {
            metrics::login_delayed("limit");
            self.gauge = Some(metrics::Login::waiting(&self.target));
            match timeout(limit, self.until(|stage| stage != Stage::Waiting)).await {
                Ok(Stage::Dropped) => return Err(Failure::LoginDropped("its turn")),
                Ok(_) => {}
                Err(_) => return Err(self.logins.state.lock().queue.out_of_time(self.number, limit)),
            }
        }
        self.gauge = Some(metrics::Login::under_way(&self.target));
        Ok(self.has_to_wait)
    }

    /// Waits for an answer of the application. Meanwhile the login may have to make room.
    pub(super) async fn while_application_answers<T>(
        &self,
        part: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let since = Instant::now();
        self.set(Stage::AwaitsPassword { since });
        let dropped = async {
            sleep_until(since + GRACE).await;
            // From now on it may have to make room for one that waits already.
            self.logins.state.lock().queue.admit(Instant::now());
            self.until(|stage| stage == Stage::Dropped).await
        };
        let answer = tokio::select! {
            answer = part => answer?,
            _ = dropped => return Err(Failure::LoginDropped(PASSWORD)),
        };
        match self.set(Stage::UnderWay) {
            Stage::Dropped => Err(Failure::LoginDropped(PASSWORD)),
            Stage::Waiting | Stage::UnderWay | Stage::AwaitsPassword { .. } | Stage::Slowed => Ok(answer),
        }
    }

    /// The database has refused the credential: waits before the application reads it, for `limit` at most. The login no
    /// longer counts at the target, but it does for its peer, whether or not the application is still there.
    pub(super) async fn slow_down(&self, limit: Duration) {
        let delay = {
            let (mut state, now) = (self.logins.state.lock(), Instant::now());
            state.queue.set(self.number, Stage::Slowed, now);
            state.refusals.refused(self.peer, &self.target, now).min(limit)
        };
        if !delay.is_zero() {
            metrics::login_delayed("refusals");
            sleep(delay).await;
        }
    }

    /// The database has let the session in.
    pub(super) fn succeeded(self) {
        self.logins.state.lock().refusals.forget(self.peer, &self.target);
    }

    /// Resolves with the stage once it is as wanted.
    async fn until(&self, wanted: impl Fn(Stage) -> bool) -> Stage {
        loop {
            let stage = self.logins.state.lock().queue.stage(self.number);
            if wanted(stage) {
                return stage;
            }
            self.wake.notified().await;
        }
    }

    /// Returns the stage that it has now.
    fn set(&self, stage: Stage) -> Stage {
        self.logins.state.lock().queue.set(self.number, stage, Instant::now())
    }
}

impl Drop for LoginPermit {
    fn drop(&mut self) {
        self.logins.state.lock().queue.leave(self.number, Instant::now());
    }
}

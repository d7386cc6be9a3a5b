//! The sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::support::exchange::{Outcome, Work};
use crate::support::legs::{DEADLINE, Legs, PLACES};
use crate::support::relay::Fault;

/// Sessions before the first look at memory.
const WARM_UP: u64 = 200;

/// Sessions at once: fewer than the proxies have places, since those that fell silent keep theirs for a while.
const AT_ONCE: usize = PLACES * 2 / 3;

/// A reset is what a network does most; what falls silent costs seconds.
const FAULTS: &[Fault] = &[
    Fault::Reset,
    Fault::Reset,
    Fault::Reset,
    Fault::Reset,
    Fault::Close,
    Fault::Close,
    Fault::Close,
    Fault::HalfClose,
    Fault::HalfClose,
    Fault::HalfClose,
    Fault::Pause(Duration::from_millis(300)),
    Fault::Stall,
];

/// Sessions without a fault, so that what the proxies take once is taken.
pub(crate) async fn warm_up(legs: &Legs) {
    for seed in 0..WARM_UP {
        assert_eq!(legs.exchange(work(seed)).await, Outcome::Complete);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
}

/// How each session ended, until there were enough or time is up.
pub(crate) async fn run(legs: &Legs, options: &Options) -> Vec<Outcome> {
    legs.treat_at_random(options.seed, FAULTS);
    let until = Instant::now() + options.time;
    let started = Arc::new(AtomicU64::new(0));
    let (seed, sessions) = (options.seed << 32, options.sessions);
    let one_by_one = (0..AT_ONCE).map(|_| {
        let (application, started) = (legs.application(), Arc::clone(&started));
        tokio::spawn(async move {
            let mut outcomes = Vec::new();
            while Instant::now() < until {
                let number = started.fetch_add(1, Ordering::Relaxed);
                if number >= sessions {
                    break;
                }
                outcomes.push(application.clone().exchange(work(seed + number)).await);
            }
            outcomes
        })
    });
    let mut outcomes = Vec::new();
    for sessions in one_by_one.collect::<Vec<_>>() {
        outcomes.extend(sessions.await.unwrap());
    }
    outcomes
}

fn work(seed: u64) -> Work {
    Work { queries: 4, length: 8_000, seed, patience: DEADLINE }
}

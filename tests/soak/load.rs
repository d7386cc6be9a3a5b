//! The sessions of the soak test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::support::relay::Disruption;
use crate::support::relayed_chain::{DEADLINE, RelayedChain, SLOTS};
use crate::support::workload::{Outcome, Workload};

/// Sessions before the first memory measurement.
const WARM_UP: u64 = 200;

/// Concurrent sessions: fewer than the proxies have slots, since stalled sessions keep theirs for a while.
const AT_ONCE: usize = SLOTS * 2 / 3;

/// Weighted by repetition: resets are the most frequent failure of a network, and a stall takes seconds.
const DISRUPTIONS: &[Disruption] = &[
    Disruption::Reset,
    Disruption::Reset,
    Disruption::Reset,
    Disruption::Reset,
    Disruption::Close,
    Disruption::Close,
    Disruption::Close,
    Disruption::HalfClose,
    Disruption::HalfClose,
    Disruption::HalfClose,
    Disruption::Pause(Duration::from_millis(300)),
    Disruption::Stall,
];

/// Runs undisturbed sessions, so that the proxies have made their one-time allocations.
pub(crate) async fn warm_up(chain: &RelayedChain) {
    for seed in 0..WARM_UP {
        assert_eq!(chain.run(workload(seed)).await, Outcome::Complete);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
}

/// Runs sessions until their number or the time is reached. Returns their outcomes.
pub(crate) async fn run(chain: &RelayedChain, options: &Options) -> Vec<Outcome> {
    chain.impair_at_random(options.seed, DISRUPTIONS);
    let until = Instant::now() + options.time;
    let started = Arc::new(AtomicU64::new(0));
    let (seed, sessions) = (options.seed << 32, options.sessions);
    let workers = (0..AT_ONCE).map(|_| {
        let (application, started) = (chain.application(), Arc::clone(&started));
        tokio::spawn(async move {
            let mut outcomes = Vec::new();
            while Instant::now() < until {
                let number = started.fetch_add(1, Ordering::Relaxed);
                if number >= sessions {
                    break;
                }
                outcomes.push(application.clone().run(workload(seed + number)).await);
            }
            outcomes
        })
    });
    let mut outcomes = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        outcomes.extend(worker.await.unwrap());
    }
    outcomes
}

fn workload(seed: u64) -> Workload {
    Workload { queries: 4, length: 8_000, seed, patience: DEADLINE }
}

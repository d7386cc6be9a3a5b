//! A network that is late, breaks and falls silent, on every leg and at every step.
//!
//! Whatever happens, no byte is lost or out of place in a session that both ends believe complete, an application is
//! told within the deadline, and nothing is left behind. The steps of a login are met by their bytes: a session
//! without a fault shows how many there are on a leg, and faults come after every so many of them.

use std::time::{Duration, Instant};

use crate::support::exchange::{Outcome, Work};
use crate::support::legs::{Clocks, DEADLINE, Leg, Legs};
use crate::support::relay::{Fault, Plan, Way};

/// At how many places between the first byte and the last of a login faults are tried.
const PLACES_IN_LOGIN: u64 = 6;

/// Bytes behind the login: in the middle of the first answers.
const IN_STREAM: u64 = 20_000;

/// Bytes of a login on a leg.
struct Login {
    up: u64,
    down: u64,
}

/// Both ways are busy at once for some hundred KB.
fn work(seed: u64) -> Work {
    Work { queries: 20, length: 10_000, seed, patience: DEADLINE }
}

/// A session that asks nothing.
const NO_WORK: Work = Work { queries: 0, length: 1, seed: 0, patience: DEADLINE };

/// What a login without a fault moves on this leg.
async fn login_on(legs: &Legs, leg: Leg) -> Login {
    legs.treat_well();
    // Bytes of other sessions would be taken for those of the login.
    legs.hush().await;
    let before = legs.relay(leg).seen();
    assert_eq!(legs.exchange(NO_WORK).await, Outcome::Complete);
    legs.hush().await;
    let after = legs.relay(leg).seen();
    Login { up: after.up - before.up, down: after.down - before.down }
}

/// Before the first byte, all through the TLS handshake and the login, and in the middle of a stream.
fn places(login: &Login) -> Vec<(Way, u64)> {
    let both = [(Way::Up, login.up), (Way::Down, login.down)];
    let in_login = |(way, length): (Way, u64)| {
        (0..=PLACES_IN_LOGIN).map(move |place| (way, length * place / (PLACES_IN_LOGIN + 1)))
    };
    both.into_iter().flat_map(in_login).chain(both.map(|(way, length)| (way, length + IN_STREAM))).collect()
}

/// Has sessions on this leg that are late, come in pieces down to single bytes, or pause in the login and in the stream.
pub(crate) async fn slow_down(legs: &Legs, leg: Leg) {
    let pause = Fault::Pause(Duration::from_millis(400));
    let login = login_on(legs, leg).await;
    let pausing = |up, down| Plan::default().with(Way::Up, up, pause).with(Way::Down, down, pause);
    let plans = [
        Plan::late(Duration::from_millis(15)),
        Plan::pieces(1),
        Plan::pieces(7),
        pausing(login.up / 2, login.down / 3),
        pausing(login.up + IN_STREAM, login.down + IN_STREAM),
    ];
    for (seed, plan) in (0..).zip(plans) {
        legs.treat(leg, plan);
        assert_eq!(legs.exchange(work(seed)).await, Outcome::Complete, "{leg:?} {plan:?}");
    }
}

/// Breaks sessions on this leg at every place with each of these faults, and says how each of them ended.
pub(crate) async fn break_everywhere(
    legs: &Legs,
    leg: Leg,
    faults: &[Fault],
) -> Vec<(Way, bool, Fault, Outcome)> {
    let login = login_on(legs, leg).await;
    let mut ends = Vec::new();
    for (seed, &fault) in (0..).zip(faults) {
        for (way, after) in places(&login) {
            let (outcome, took) = break_once(legs, leg, Plan::default().with(way, after, fault), seed).await;
            let what = format!("{fault:?} on {leg:?} {way:?} after {after}: {outcome:?}");
            assert!(took <= DEADLINE, "{what}");
            assert!(!matches!(outcome, Outcome::Corrupt(_)), "{what}");
            let in_stream = after > if way == Way::Up { login.up } else { login.down };
            ends.push((way, in_stream, fault, outcome));
        }
    }
    legs.treat_well();
    ends
}

/// A session that meets the fault, and how long it took. The cancel request for what an earlier session left behind
/// may come in between and use the fault up; then another session is tried.
async fn break_once(legs: &Legs, leg: Leg, plan: Plan, seed: u64) -> (Outcome, Duration) {
    for _ in 0..5 {
        legs.treat(leg, plan);
        let before = legs.relay(leg).seen().faults.len();
        let began = Instant::now();
        let outcome = legs.exchange(work(seed)).await;
        if legs.relay(leg).seen().faults.len() > before {
            return (outcome, began.elapsed());
        }
    }
    panic!("no session met the fault: {plan:?} on {leg:?}");
}

/// What the application has to hear of a fault beyond the client: in the login always an ErrorResponse, with a
/// SQLSTATE that drivers take for a lost connection. No such session is complete.
pub(crate) fn assert_told(way: Way, in_stream: bool, fault: Fault, outcome: &Outcome) {
    let what = format!("{fault:?} {way:?}, in the stream: {in_stream}: {outcome:?}");
    match outcome {
        Outcome::Refused { sqlstate, message, .. } => {
            assert!(["08001", "08006", "57P05"].contains(&sqlstate.as_str()), "{what}");
            assert!(message.starts_with("rds-auth-proxy: "), "{what}");
            // What libraries tell those who use them is of no use to an application.
            let jargon = ["close_notify", "docs.rs", "eof"];
            assert!(!jargon.iter().any(|word| message.contains(word)), "{what}");
        }
        // An error in the middle of an answer would be taken for a part of it.
        Outcome::Cut { ready: true } => assert!(in_stream, "{what}"),
        _ => panic!("{what}"),
    }
}

#[tokio::test]
async fn a_slow_network_changes_no_byte() {
    let legs = Legs::start(Clocks::Patient, "trace").await;
    let before = warm(&legs).await;
    for leg in Leg::ALL {
        slow_down(&legs, leg).await;
    }
    for leg in Leg::ALL {
        legs.relay(leg).treat(Plan::pieces(3));
    }
    assert_eq!(legs.exchange(work(100)).await, Outcome::Complete, "all legs at once");
    legs.settle(before).await;
    legs.stop().await;
}

#[tokio::test]
async fn a_leg_that_breaks_is_told_of() {
    let legs = Legs::start(Clocks::Patient, "trace").await;
    let before = warm(&legs).await;
    for leg in [Leg::Hop, Leg::Database] {
        let faults = [Fault::Reset, Fault::Close, Fault::HalfClose];
        for (way, in_stream, fault, outcome) in break_everywhere(&legs, leg, &faults).await {
            assert_told(way, in_stream, fault, &outcome);
        }
    }
    legs.settle(before).await;
    legs.fill().await;
    legs.stop().await;
}

#[tokio::test]
async fn an_application_that_breaks_leaves_nothing() {
    let legs = Legs::start(Clocks::Patient, "trace").await;
    let before = warm(&legs).await;
    let faults = [Fault::Reset, Fault::Close, Fault::HalfClose];
    for (way, _, fault, outcome) in break_everywhere(&legs, Leg::Application, &faults).await {
        let closed = matches!(outcome, Outcome::Cut { .. } | Outcome::Refused { .. });
        assert!(closed, "{fault:?} {way:?}: {outcome:?}");
    }
    legs.settle(before).await;
    legs.fill().await;
    legs.stop().await;
}

#[tokio::test]
async fn a_silent_hop_is_given_up() {
    let legs = Legs::start(Clocks::Hurried, "trace").await;
    let before = warm(&legs).await;
    for (way, in_stream, fault, outcome) in break_everywhere(&legs, Leg::Hop, &[Fault::Stall]).await {
        assert_told(way, in_stream, fault, &outcome);
    }
    legs.settle(before).await;
    legs.fill().await;
    legs.stop().await;
}

#[tokio::test]
async fn a_silent_database_is_given_up() {
    let legs = Legs::start(Clocks::Hurried, "trace").await;
    let before = warm(&legs).await;
    for (way, in_stream, fault, outcome) in break_everywhere(&legs, Leg::Database, &[Fault::Stall]).await {
        assert_told(way, in_stream, fault, &outcome);
    }
    legs.settle(before).await;
    legs.fill().await;
    legs.stop().await;
}

/// Nobody can be told where the way to the application is what fell silent. Its place is free again all the same.
#[tokio::test]
async fn a_silent_application_is_given_up() {
    let legs = Legs::start(Clocks::Hurried, "trace").await;
    let before = warm(&legs).await;
    let login = login_on(&legs, Leg::Application).await;
    let mut sessions = Vec::new();
    for (way, after) in places(&login) {
        legs.treat(Leg::Application, Plan::default().with(way, after, Fault::Stall));
        let seen = legs.relay(Leg::Application).seen().faults.len();
        sessions.push((way, after, legs.spawn(work(after))));
        // Each has the machine for itself until it is silent: a login that is late is told something else.
        while legs.relay(Leg::Application).seen().faults.len() == seen {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for (way, after, session) in sessions {
        let outcome = session.await.unwrap();
        let told = match (way, &outcome) {
            (Way::Up, Outcome::Refused { ready: false, sqlstate, .. }) => {
                after < login.up && sqlstate == "08006"
            }
            (Way::Up, Outcome::Refused { sqlstate, .. }) => after > login.up && sqlstate == "57P05",
            // Who says nothing, or half of a startup packet, is hung up on, as PostgreSQL does.
            (Way::Up, Outcome::Cut { ready }) => *ready == (after > login.up),
            (Way::Down, Outcome::Silent { .. }) => true,
            _ => false,
        };
        assert!(told, "{way:?} after {after}: {outcome:?}");
    }
    legs.settle(before).await;
    legs.fill().await;
    legs.stop().await;
}

/// Eight at a time, each leg with a fault of its own; seeded, so that a failure can be looked at again.
#[tokio::test]
async fn hundreds_of_broken_sessions_leave_nothing_behind() {
    const SESSIONS: u64 = 300;
    let legs = Legs::start(Clocks::Patient, "info").await;
    let before = warm(&legs).await;
    legs.treat_at_random(1, &[Fault::Reset, Fault::Close, Fault::HalfClose]);
    let mut outcomes = Vec::new();
    for first in (0..SESSIONS).step_by(8) {
        let batch: Vec<_> =
            (first..first + 8).map(|seed| legs.spawn(Work { queries: 5, ..work(seed) })).collect();
        for session in batch {
            outcomes.push(session.await.unwrap());
        }
    }
    let complete = outcomes.iter().filter(|outcome| **outcome == Outcome::Complete).count();
    assert!(complete > 50 && complete < outcomes.len() - 50, "{complete} of {}", outcomes.len());
    for outcome in outcomes {
        assert!(!matches!(outcome, Outcome::Corrupt(_) | Outcome::Silent { .. }), "{outcome:?}");
    }
    legs.settle(before).await;
    legs.fill().await;
    legs.settle(before).await;
    legs.stop().await;
}

/// What is held when nothing is going on, after a first session.
pub(crate) async fn warm(legs: &Legs) -> [crate::support::holdings::Holdings; 2] {
    legs.treat_well();
    assert_eq!(legs.exchange(work(0)).await, Outcome::Complete);
    legs.hush().await;
    legs.holdings().await
}

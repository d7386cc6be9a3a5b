//! A network that delays, breaks and stalls connections, on every link and at every step.
//!
//! In every case no byte of a complete session is lost or misplaced, the application learns of the failure within the
//! deadline, and the proxies release all resources. An undisturbed login shows how many bytes it moves on a link;
//! disruptions then occur at several offsets within these bytes and after them.

use std::time::{Duration, Instant};

use crate::support::relay::{Direction, Disruption, NetworkProfile};
use crate::support::relayed_chain::{DEADLINE, Link, RelayedChain, Timeouts};
use crate::support::workload::{Outcome, Workload};

/// The number of offsets within a login, besides its start, at which a disruption occurs.
const OFFSETS_IN_LOGIN: u64 = 6;

/// The offset after the login, in bytes: in the middle of the first answers.
const AFTER_LOGIN: u64 = 20_000;

/// Bytes that a login moves on a link.
struct LoginBytes {
    to_database: u64,
    to_application: u64,
}

impl LoginBytes {
    fn bytes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::ToDatabase => self.to_database,
            Direction::ToApplication => self.to_application,
        }
    }
}

/// Some hundred KB in both directions at once.
fn workload(seed: u64) -> Workload {
    Workload { queries: 20, length: 10_000, seed, patience: DEADLINE }
}

/// A session without queries.
const NO_QUERIES: Workload = Workload { queries: 0, length: 1, seed: 0, patience: DEADLINE };

/// Counts the bytes of an undisturbed login on this link.
async fn login_bytes(chain: &RelayedChain, link: Link) -> LoginBytes {
    chain.clear_impairments();
    // Bytes of other sessions would be counted too.
    chain.close_all_sessions().await;
    let before = chain.relay(link).stats();
    assert_eq!(chain.run(NO_QUERIES).await, Outcome::Complete);
    chain.close_all_sessions().await;
    let after = chain.relay(link).stats();
    LoginBytes {
        to_database: after.to_database - before.to_database,
        to_application: after.to_application - before.to_application,
    }
}

/// Offsets before the first byte, during the TLS handshake and the login, and in the middle of a stream.
fn offsets(login: &LoginBytes) -> Vec<(Direction, u64)> {
    let both = [Direction::ToDatabase, Direction::ToApplication]
        .map(|direction| (direction, login.bytes(direction)));
    let in_login = |(direction, length): (Direction, u64)| {
        (0..=OFFSETS_IN_LOGIN).map(move |step| (direction, length * step / (OFFSETS_IN_LOGIN + 1)))
    };
    both.into_iter()
        .flat_map(in_login)
        .chain(both.map(|(direction, length)| (direction, length + AFTER_LOGIN)))
        .collect()
}

/// Runs sessions whose bytes on this link are delayed, split down to single bytes, or paused in login and stream.
pub(crate) async fn slow_down(chain: &RelayedChain, link: Link) {
    let pause = Disruption::Pause(Duration::from_millis(400));
    let login = login_bytes(chain, link).await;
    let pausing = |to_database, to_application| {
        let profile = NetworkProfile::default().with(Direction::ToDatabase, to_database, pause);
        profile.with(Direction::ToApplication, to_application, pause)
    };
    let profiles = [
        NetworkProfile::delayed(Duration::from_millis(15)),
        NetworkProfile::in_chunks(1),
        NetworkProfile::in_chunks(7),
        pausing(login.to_database / 2, login.to_application / 3),
        pausing(login.to_database + AFTER_LOGIN, login.to_application + AFTER_LOGIN),
    ];
    for (seed, profile) in (0..).zip(profiles) {
        chain.impair(link, profile);
        assert_eq!(chain.run(workload(seed)).await, Outcome::Complete, "{link:?} {profile:?}");
    }
}

/// A session that a relay disrupted.
pub(crate) struct Disrupted {
    /// Disruption, link, direction, offset and outcome, for assertion messages.
    case: String,
    /// Whether the disruption came after the login.
    after_login: bool,
    outcome: Outcome,
}

/// Runs sessions with each of these disruptions at every offset on this link.
pub(crate) async fn disrupt_everywhere(
    chain: &RelayedChain,
    link: Link,
    disruptions: &[Disruption],
) -> Vec<Disrupted> {
    let login = login_bytes(chain, link).await;
    let mut sessions = Vec::new();
    for (seed, &disruption) in (0..).zip(disruptions) {
        for (direction, after) in offsets(&login) {
            let profile = NetworkProfile::default().with(direction, after, disruption);
            let (outcome, took) = disrupt_once(chain, link, (profile, disruption), seed).await;
            let case = format!("{disruption:?} on {link:?} {direction:?} after {after}: {outcome:?}");
            assert!(took <= DEADLINE, "{case}");
            assert!(!matches!(outcome, Outcome::Corrupt(_)), "{case}");
            let after_login = after > login.bytes(direction);
            sessions.push(Disrupted { case, after_login, outcome });
        }
    }
    chain.clear_impairments();
    sessions
}

/// The outcome and duration of a disrupted session. The disruption may hit a cancel request for an earlier session
/// instead, or the spare connection of a tunnel; then this tries another session.
async fn disrupt_once(
    chain: &RelayedChain,
    link: Link,
    (profile, disruption): (NetworkProfile, Disruption),
    seed: u64,
) -> (Outcome, Duration) {
    for _ in 0..5 {
        chain.impair(link, profile);
        // A spare connection of a tunnel still has the disruption of the case before.
        chain.relay(link).reset_connections();
        let before = chain.relay(link).stats().disruptions.len();
        let began = Instant::now();
        let outcome = chain.run(workload(seed)).await;
        let happened =
            chain.relay(link).stats().disruptions.iter().skip(before).any(|kind| *kind == disruption);
        if happened && outcome != Outcome::Complete {
            return (outcome, began.elapsed());
        }
    }
    panic!("the relay disrupted no session: {profile:?} on {link:?}");
}

impl Disrupted {
    /// Checks that the application learned of a disruption behind the client. During the login it always receives an
    /// ErrorResponse with a SQLSTATE that drivers treat as a lost connection. No such session is complete.
    pub(crate) fn assert_reported(&self) {
        let case = &self.case;
        match &self.outcome {
            Outcome::Refused { sqlstate, message, .. } => {
                assert!(["08001", "08006", "57P03", "57P05"].contains(&sqlstate.as_str()), "{case}");
                assert!(message.starts_with("rds-auth-proxy: "), "{case}");
                // Texts that libraries write for programmers do not help the user of an application.
                let jargon = ["close_notify", "docs.rs", "eof"];
                assert!(!jargon.iter().any(|word| message.contains(word)), "{case}");
            }
            // In the middle of an answer the application would read an error as a part of the answer.
            Outcome::Cut { ready: true } => assert!(self.after_login, "{case}"),
            _ => panic!("{case}"),
        }
    }
}

#[tokio::test]
async fn a_slow_network_changes_no_byte() {
    let chain = RelayedChain::start(Timeouts::Default, "trace").await;
    let before = warm_up(&chain).await;
    for link in Link::ALL {
        slow_down(&chain, link).await;
    }
    for link in Link::ALL {
        chain.relay(link).apply(NetworkProfile::in_chunks(3));
    }
    assert_eq!(chain.run(workload(100)).await, Outcome::Complete, "all links at once");
    chain.wait_for_cleanup(before).await;
    chain.stop().await;
}

#[tokio::test]
async fn a_broken_link_is_reported_to_the_application() {
    let chain = RelayedChain::start(Timeouts::Default, "trace").await;
    let before = warm_up(&chain).await;
    for link in [Link::ClientToServer, Link::ServerToDatabase] {
        let disruptions = [Disruption::Reset, Disruption::Close, Disruption::HalfClose];
        for session in disrupt_everywhere(&chain, link, &disruptions).await {
            session.assert_reported();
        }
    }
    chain.wait_for_cleanup(before).await;
    chain.fill_all_slots().await;
    chain.stop().await;
}

#[tokio::test]
async fn a_broken_application_link_leaks_no_resources() {
    let chain = RelayedChain::start(Timeouts::Default, "trace").await;
    let before = warm_up(&chain).await;
    let disruptions = [Disruption::Reset, Disruption::Close, Disruption::HalfClose];
    for session in disrupt_everywhere(&chain, Link::AppToClient, &disruptions).await {
        let closed = matches!(session.outcome, Outcome::Cut { .. } | Outcome::Refused { .. });
        assert!(closed, "{}", session.case);
    }
    chain.wait_for_cleanup(before).await;
    chain.fill_all_slots().await;
    chain.stop().await;
}

#[tokio::test]
async fn a_stalled_link_to_the_server_times_out() {
    let chain = RelayedChain::start(Timeouts::Short, "trace").await;
    let before = warm_up(&chain).await;
    for session in disrupt_everywhere(&chain, Link::ClientToServer, &[Disruption::Stall]).await {
        session.assert_reported();
    }
    chain.wait_for_cleanup(before).await;
    chain.fill_all_slots().await;
    chain.stop().await;
}

#[tokio::test]
async fn a_stalled_link_to_the_database_times_out() {
    let chain = RelayedChain::start(Timeouts::Short, "trace").await;
    let before = warm_up(&chain).await;
    for session in disrupt_everywhere(&chain, Link::ServerToDatabase, &[Disruption::Stall]).await {
        session.assert_reported();
    }
    chain.wait_for_cleanup(before).await;
    chain.fill_all_slots().await;
    chain.stop().await;
}

/// The proxies cannot send an error over a stalled link to the application, but they free its slot.
#[tokio::test]
async fn a_stalled_link_to_the_application_times_out() {
    let chain = RelayedChain::start(Timeouts::Short, "trace").await;
    let before = warm_up(&chain).await;
    let login = login_bytes(&chain, Link::AppToClient).await;
    let mut sessions = Vec::new();
    for (direction, after) in offsets(&login) {
        chain.impair(Link::AppToClient, NetworkProfile::default().with(direction, after, Disruption::Stall));
        let before = chain.relay(Link::AppToClient).stats().disruptions.len();
        sessions.push((direction, after, chain.spawn(workload(after))));
        // One login at a time: a login on a busy machine would exceed another timeout first.
        while chain.relay(Link::AppToClient).stats().disruptions.len() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for (direction, after, session) in sessions {
        let outcome = session.await.unwrap();
        let expected = match (direction, &outcome) {
            (Direction::ToDatabase, Outcome::Refused { ready: false, sqlstate, .. }) => {
                after < login.to_database && sqlstate == "57P03"
            }
            (Direction::ToDatabase, Outcome::Refused { sqlstate, .. }) => {
                after > login.to_database && sqlstate == "57P05"
            }
            // Without a complete startup packet the proxy closes the connection silently, as PostgreSQL does.
            (Direction::ToDatabase, Outcome::Cut { ready }) => *ready == (after > login.to_database),
            (Direction::ToApplication, Outcome::Silent { .. }) => true,
            _ => false,
        };
        assert!(expected, "{direction:?} after {after}: {outcome:?}");
    }
    chain.wait_for_cleanup(before).await;
    chain.fill_all_slots().await;
    chain.stop().await;
}

/// Eight sessions at a time with random disruptions on each link. A fixed seed makes failures reproducible.
#[tokio::test]
async fn hundreds_of_broken_sessions_leak_no_resources() {
    const SESSIONS: u64 = 300;
    let chain = RelayedChain::start(Timeouts::Default, "info").await;
    let before = warm_up(&chain).await;
    chain.impair_at_random(1, &[Disruption::Reset, Disruption::Close, Disruption::HalfClose]);
    let mut outcomes = Vec::new();
    for first in (0..SESSIONS).step_by(8) {
        let batch: Vec<_> =
            (first..first + 8).map(|seed| chain.spawn(Workload { queries: 5, ..workload(seed) })).collect();
        for session in batch {
            outcomes.push(session.await.unwrap());
        }
    }
    let complete = outcomes.iter().filter(|outcome| **outcome == Outcome::Complete).count();
    assert!(complete > 50 && complete < outcomes.len() - 50, "{complete} of {}", outcomes.len());
    for outcome in outcomes {
        assert!(!matches!(outcome, Outcome::Corrupt(_) | Outcome::Silent { .. }), "{outcome:?}");
    }
    chain.wait_for_cleanup(before).await;
    chain.fill_all_slots().await;
    chain.wait_for_cleanup(before).await;
    chain.stop().await;
}

/// Runs a first session and returns the resource usage of the idle proxies.
pub(crate) async fn warm_up(chain: &RelayedChain) -> [crate::support::resource_usage::ResourceUsage; 2] {
    chain.clear_impairments();
    assert_eq!(chain.run(workload(0)).await, Outcome::Complete);
    chain.close_all_sessions().await;
    chain.resource_usage().await
}

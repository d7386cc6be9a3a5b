//! The memory of a session has a bound, whatever its data and however slow the reader.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::builder::World;
use crate::support::fake_database::FakeDatabase;
use crate::support::raw::{Raw, message, query};
use crate::support::world::Running;

/// The largest length word: an Int32 that includes itself. PostgreSQL itself sends at most half of it.
const LONGEST: usize = i32::MAX as usize;

/// The length of the repeated pattern in a row: a prime, so that a lost or repeated buffer is detected.
const PATTERN: usize = 65_521;

/// KB that a session may take in a process, as in docs/operations.md: without TLS, and with TLS on both sides.
const WITHOUT_TLS: usize = 192;
const WITH_TLS: usize = 512;

/// Enough sessions to measure one of them beside other allocations.
const SESSIONS: usize = 40;

/// KB that a process may take for other purposes meanwhile: its log, new threads.
const OTHER: usize = 4 * 1024;

#[tokio::test]
async fn a_row_of_2_gb_passes_without_tls_and_takes_no_memory() {
    pass_a_row(false).await;
}

#[tokio::test]
async fn a_row_of_2_gb_passes_through_tls_and_takes_no_memory() {
    pass_a_row(true).await;
}

async fn pass_a_row(tls: bool) {
    let world = start_world(tls).await;
    let mut raw = Raw::session(world.client().port(), "alice").await;
    let before = peaks(&world);
    raw.send(&query("select everything")).await;
    let mut header = [0; 5];
    raw.read_exact(&mut header).await;
    assert_eq!(header, row_header());
    // Fills all buffers between database and application.
    sleep(Duration::from_secs(1)).await;
    expect_pattern(&mut raw, LONGEST - 4).await;
    raw.until_ready().await;
    check_memory(&world, &before, 1, tls);
    drop(raw);
    world.stop().await;
}

#[tokio::test]
async fn unread_sessions_take_no_more_than_their_buffers() {
    for tls in [false, true] {
        let world = start_world(tls).await;
        drop(Raw::session(world.client().port(), "alice").await);
        let before = peaks(&world);
        let mut blocked = JoinSet::new();
        for _ in 0..SESSIONS {
            blocked.spawn(block(world.client().port()));
        }
        let blocked = blocked.join_all().await;
        check_memory(&world, &before, SESSIONS, tls);
        drop(blocked);
        world.stop().await;
    }
}

/// A session with full buffers in both directions. Those of the kernel grow to 32 MiB for each socket.
async fn block(port: u16) -> Raw {
    let mut raw = Raw::session(port, "alice").await;
    raw.send(&query("select everything")).await;
    let piece = vec![b'd'; 1 << 20];
    for _ in 0..256 {
        match timeout(Duration::from_secs(3), raw.try_send(&piece)).await {
            Ok(sent) => sent.unwrap(),
            Err(_) => return raw,
        }
    }
    panic!("the proxy accepted all bytes");
}

/// Client and server in front of a database that answers a query with a row. TLS excludes the client's listener.
async fn start_world(tls: bool) -> Running {
    let fake = FakeDatabase::accepting_logins(tls, send_row).await;
    let world = if tls { World::new().with_server_tls() } else { World::new() };
    let target = fake.target(if tls { "verify-full" } else { "disable" });
    world.with_target("fake", &target).target("fake").start().await
}

/// Answers a query with the longest possible row, or as much of it as the other side reads.
async fn send_row(mut raw: Raw) {
    if raw.byte().await.is_none() || raw.try_send(&row_header()).await.is_err() {
        return;
    }
    let pattern = pattern();
    let mut left = LONGEST - 4;
    while left > 0 {
        let piece = left.min(PATTERN);
        if raw.try_send(&pattern[..piece]).await.is_err() {
            return;
        }
        left -= piece;
    }
    let _gone = raw.try_send(&message(b'Z', b"I")).await;
    raw.rest().await;
}

async fn expect_pattern(raw: &mut Raw, length: usize) {
    let pattern = pattern();
    let mut buffer = vec![0; PATTERN];
    let mut left = length;
    while left > 0 {
        let piece = left.min(PATTERN);
        raw.read_exact(&mut buffer[..piece]).await;
        assert!(buffer[..piece] == pattern[..piece], "a byte is wrong, {left} before the end");
        left -= piece;
    }
}

fn row_header() -> [u8; 5] {
    let [a, b, c, d] = u32::try_from(LONGEST).unwrap().to_be_bytes();
    [b'D', a, b, c, d]
}

fn pattern() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(PATTERN).collect()
}

fn peaks(world: &Running) -> [Option<usize>; 2] {
    [world.client().peak_memory(), world.server().peak_memory()]
}

/// Checks that neither process took more than its bound since `before`, if the system reports it.
fn check_memory(world: &Running, before: &[Option<usize>; 2], sessions: usize, tls: bool) {
    let bound = sessions * if tls { WITH_TLS } else { WITHOUT_TLS } + OTHER;
    for ((name, after), before) in ["client", "server"].iter().zip(peaks(world)).zip(before) {
        if let (Some(after), Some(before)) = (after, before) {
            let taken = after.saturating_sub(*before);
            assert!(taken <= bound, "the {name} took {taken} KB, not at most {bound}");
        }
    }
}

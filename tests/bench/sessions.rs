//! What sessions hold while they are idle, and what they leave behind.

use std::thread::sleep;
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use crate::load::connect;
use crate::process::{Process, ResourceUsage};
use crate::setup::{Setup, USER, Way};
use crate::support::runtime;

/// Connections at once while many are opened.
const AT_ONCE: usize = 8;

/// How long the kernel, PostgreSQL and the proxies get to finish what is under way.
const SETTLE: Duration = Duration::from_secs(1);

/// How long threads for name lookups may stay; tokio's leave after 10 seconds without work.
const THREADS_LEAVE: Duration = Duration::from_secs(14);

/// Bytes that one more idle session makes resident in client and server. For proxies that have served a handful so far:
/// memory that is free but not given back would hide it.
pub(crate) async fn idle(setup: &Setup, sessions: usize) -> [i64; 2] {
    drop(open(setup, AT_ONCE).await);
    sleep(SETTLE);
    let before = setup.layers().map(Process::resource_usage);
    let open = open(setup, sessions).await;
    sleep(SETTLE);
    let after = setup.layers().map(Process::resource_usage);
    assert_eq!(open.iter().filter(|session| session.is_closed()).count(), 0);
    let sessions = i64::try_from(sessions).unwrap();
    differences(after, before).map(|held| held.resident / sessions)
}

/// What 1,000 connections leave behind in client and server, after 1,000 others.
pub(crate) fn left_behind(setup: &Setup) -> [ResourceUsage; 2] {
    let thousand = || connect(&mut setup.command(Way::Chain, "pgbench"), 8, 125);
    thousand();
    let before = settle(setup);
    thousand();
    differences(settle(setup), before)
}

async fn open(setup: &Setup, sessions: usize) -> Vec<Client> {
    let mut open = Vec::new();
    while open.len() < sessions {
        let batch = AT_ONCE.min(sessions - open.len());
        let opening: Vec<_> =
            (0..batch).map(|_| runtime::spawn(session(setup.client.config(USER)))).collect();
        for session in opening {
            open.push(session.await.unwrap());
        }
    }
    open
}

/// A session that has had a query.
async fn session(config: tokio_postgres::Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    runtime::spawn(connection);
    client.simple_query("SELECT 1").await.unwrap();
    client
}

/// What the layers hold once the threads that have nothing to do are gone.
fn settle(setup: &Setup) -> [ResourceUsage; 2] {
    sleep(THREADS_LEAVE);
    setup.layers().map(Process::resource_usage)
}

fn differences([client, server]: [ResourceUsage; 2], before: [ResourceUsage; 2]) -> [ResourceUsage; 2] {
    [client - before[0], server - before[1]]
}

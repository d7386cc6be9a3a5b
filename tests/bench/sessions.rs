//! Memory of idle sessions, and resources that connections leak.

use std::thread::sleep;
use std::time::Duration;

use tokio_postgres::{Client, NoTls};

use crate::load::connect;
use crate::process::{Process, ResourceUsage};
use crate::setup::{Setup, Topology, USER};
use crate::support::runtime;

/// Concurrent logins while many sessions are opened.
const CONCURRENT_LOGINS: usize = 8;

/// How long the kernel, PostgreSQL and the proxies need to finish pending work.
const SETTLE: Duration = Duration::from_secs(1);

/// After this long, threads for name lookups have ended: tokio's end after 10 idle seconds.
const THREADS_END: Duration = Duration::from_secs(14);

/// Resident bytes of one more idle session in client and server. Call it first: memory that earlier sessions freed
/// would hide it.
pub(crate) async fn idle(setup: &Setup, sessions: usize) -> [i64; 2] {
    drop(open(setup, CONCURRENT_LOGINS).await);
    sleep(SETTLE);
    let before = setup.layers().map(Process::resource_usage);
    let open = open(setup, sessions).await;
    sleep(SETTLE);
    let after = setup.layers().map(Process::resource_usage);
    assert_eq!(open.iter().filter(|session| session.is_closed()).count(), 0);
    let sessions = i64::try_from(sessions).unwrap();
    differences(after, before).map(|usage| usage.resident / sessions)
}

/// Resources that 1,000 connections leak in client and server, after 1,000 others.
pub(crate) fn leaked(setup: &Setup) -> [ResourceUsage; 2] {
    let thousand = || connect(&mut setup.command(Topology::Chain, "pgbench"), 8, 125);
    thousand();
    let before = settle(setup);
    thousand();
    differences(settle(setup), before)
}

async fn open(setup: &Setup, sessions: usize) -> Vec<Client> {
    let mut open = Vec::new();
    while open.len() < sessions {
        let batch = CONCURRENT_LOGINS.min(sessions - open.len());
        let opening: Vec<_> =
            (0..batch).map(|_| runtime::spawn(session(setup.client.config(USER)))).collect();
        for session in opening {
            open.push(session.await.unwrap());
        }
    }
    open
}

/// Opens a session and runs a query.
async fn session(config: tokio_postgres::Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    runtime::spawn(connection);
    client.simple_query("SELECT 1").await.unwrap();
    client
}

/// The resource usage of the layers after idle threads have ended.
fn settle(setup: &Setup) -> [ResourceUsage; 2] {
    sleep(THREADS_END);
    setup.layers().map(Process::resource_usage)
}

fn differences([client, server]: [ResourceUsage; 2], before: [ResourceUsage; 2]) -> [ResourceUsage; 2] {
    [client - before[0], server - before[1]]
}

//! Many connections: the limits on them, their cost, and resources that they must not leak.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use crate::support::builder::World;
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, SSL_REQUEST, TERMINATE, login};
use crate::support::world::Running;

#[tokio::test]
async fn beyond_max_connections_applications_receive_53300_and_cancel_requests_pass() {
    for name in ["client", "server"] {
        let world = limited(name, "max_connections: 2").await;
        let first = world.connect("alice").await.unwrap();
        let mut second = session(&world).await;
        let third = world.connect("alice").await.unwrap_err();
        let error = third.as_db_error().unwrap();
        assert_eq!(error.code(), &SqlState::TOO_MANY_CONNECTIONS);
        assert!(error.message().contains("max_connections of this proxy is 2"), "{error}");

        cancel_a_query(&world, &first, "select pg_sleep(302)").await;
        second.send(TERMINATE).await;
        assert_eq!(second.message().await, None);
        wait_for_slot(&world).await;
        drop(first);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_peer_is_limited_to_max_connections_per_peer() {
    let world = limited("client", "max_connections_per_peer: 1").await;
    let first = world.connect("alice").await.unwrap();
    let second = world.connect("alice").await.unwrap_err();
    let error = second.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::TOO_MANY_CONNECTIONS);
    assert!(error.message().contains("max_connections_per_peer of this proxy is 1"), "{error}");
    drop(first);
    wait_for_slot(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn pending_connections_block_no_application_and_end_after_handshake_timeout() {
    for name in ["client", "server"] {
        let world = limited(name, "handshake_timeout: 4s").await;
        let mut pending = pending(world.proxy(name), 300).await;
        world.psql("alice", "select 1").await.unwrap();
        for raw in &mut pending {
            assert_eq!(raw.rest().await, b"");
        }
        world.proxy(name).wait_for_log("while waiting for the application's startup packet").await;
        let log = world.proxy(name).log();
        assert!(!log.contains("connection failed"), "the log blames the hop");
        world.stop().await;
    }
}

/// The number of connections that stop in the middle of their startup.
const HALF_OPEN: usize = 3_000;

/// KB that one of them may take, as in docs/operations.md. An unfinished TLS handshake takes the most.
const HALF_OPEN_COST: usize = 24;

#[tokio::test]
async fn thousands_of_half_open_connections_delay_no_login_and_take_little_memory() {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).unwrap();
    let limits = "proxy: {max_connections: 5000, handshake_timeout: 60s}";
    let world = World::new().with_server_tls().with_client_tls();
    let world = world.with_server(limits).with_client(limits).start().await;
    for name in ["client", "server"] {
        let port = world.proxy(name).port();
        let normal = time_of_login(&world).await;
        let before = world.proxy(name).peak_memory();
        let mut half_open = Vec::new();
        for number in 0..HALF_OPEN {
            let mut raw = Raw::connect(port).await;
            raw.send(PARTS[number % PARTS.len()]).await;
            half_open.push(raw);
        }
        let delayed = time_of_login(&world).await;
        assert!(
            delayed < 4 * normal + Duration::from_secs(2),
            "a login takes {delayed:?} instead of {normal:?}"
        );
        if let (Some(before), Some(after)) = (before, world.proxy(name).peak_memory()) {
            let each = after.saturating_sub(before) / HALF_OPEN;
            assert!(each <= HALF_OPEN_COST, "the {name} takes {each} KB for each connection");
        }
        drop(half_open);
    }
    world.stop().await;
}

async fn time_of_login(world: &Running) -> Duration {
    let began = Instant::now();
    for _ in 0..5 {
        world.psql("alice", "select 1").await.unwrap();
    }
    began.elapsed() / 5
}

/// Nothing; half a length word; half a startup packet; an `SSLRequest`; half a `ClientHello`.
const PARTS: [&[u8]; 5] = [b"", b"\0\0", b"\0\0\0\x50\0\x03\0\0user\0ali", SSL_REQUEST, HALF_A_CLIENT_HELLO];

/// The beginning of a TLS record of 512 bytes.
const HALF_A_CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[tokio::test]
async fn pending_connections_take_no_slot_and_the_oldest_are_dropped() {
    for name in ["client", "server"] {
        let world = limited(name, "max_connections: 1").await;
        let mut pending = pending(world.proxy(name), 1000).await;
        world.psql("alice", "select 1").await.unwrap();
        let mut oldest = pending.swap_remove(0);
        assert_eq!(oldest.rest().await, b"", "the proxy does not close the oldest");
        world
            .proxy(name)
            .wait_for_log("dropped before the startup packet: too many pending connections")
            .await;
        world.stop().await;
    }
}

/// Behind a port-forward all clients have one address, so a limit for each address does not help.
#[tokio::test]
async fn pending_connections_do_not_block_cancel_requests() {
    for name in ["client", "server"] {
        let world = limited(name, "max_connections: 1").await;
        let session = world.connect("alice").await.unwrap();
        let pending = pending(world.proxy(name), 300).await;
        cancel_a_query(&world, &session, "select pg_sleep(303)").await;
        drop((session, pending));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_thousand_connections_leak_no_sockets() {
    let world = World::new()
        .with_target("plain", "{host: <postgres>, ssl: {mode: disable}}")
        .target("plain")
        .start()
        .await;
    for _ in 0..20 {
        log_in_and_out(&world).await;
    }
    let before = open_sockets(&world).await;
    for _ in 0..1000 {
        log_in_and_out(&world).await;
    }
    for _ in 0..600 {
        if open_sockets(&world).await <= before {
            return world.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("before {before:?}, after {:?}", open_sockets(&world).await);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_without_free_file_descriptors_recovers() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let world = World::new().start().await;
    let server = world.server();
    let limit = Rlimit { current: Some(40), maximum: Some(40) };
    prlimit(Pid::from_raw(i32::try_from(server.id()).unwrap()), Resource::Nofile, limit).unwrap();
    let mut pending = Vec::new();
    for _ in 0..40 {
        pending.push(tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.unwrap());
    }
    server.wait_for_log("accept failed; retrying after a pause").await;
    drop(pending);
    wait_for_slot(&world).await;
    world.stop().await;
}

async fn limited(name: &str, limits: &str) -> Running {
    let yaml = format!("proxy: {{{limits}}}");
    let world =
        if name == "client" { World::new().with_client(&yaml) } else { World::new().with_server(&yaml) };
    world.start().await
}

async fn cancel_a_query(world: &Running, session: &Client, query: &str) {
    let token = session.cancel_token();
    let cancel = async {
        crate::cancel::wait_for_queries(world, query, 1).await;
        token.cancel_query(NoTls).await.unwrap();
    };
    let (ended, ()) = tokio::join!(session.simple_query(query), cancel);
    assert_eq!(ended.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
}

/// Opens connections and sends nothing.
async fn pending(proxy: &Proxy, count: usize) -> Vec<Raw> {
    let mut pending = Vec::with_capacity(count);
    for _ in 0..count {
        pending.push(Raw::connect(proxy.port()).await);
    }
    pending
}

async fn session(world: &Running) -> Raw {
    Raw::session(world.client().port(), "alice").await
}

async fn log_in_and_out(world: &Running) {
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("by_trust")).await;
    raw.until_ready().await;
    raw.send(TERMINATE).await;
    assert_eq!(raw.message().await, None);
}

/// Logs in as soon as a slot is free, which is a moment after the end of a session.
async fn wait_for_slot(world: &Running) {
    for _ in 0..600 {
        if world.psql("alice", "select 1").await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no slot becomes free");
}

/// The open files of client and server, and the open connections at their ports.
async fn open_sockets(world: &Running) -> Vec<usize> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    [world.client(), world.server()]
        .into_iter()
        .flat_map(|proxy| [open_files(proxy), sockets(proxy)])
        .collect()
}

/// The number of its open files; 0 unless this process is root, since the proxy is not dumpable.
fn open_files(proxy: &Proxy) -> usize {
    fs::read_dir(format!("/proc/{}/fd", proxy.id())).map_or(0, Iterator::count)
}

/// TCP sockets at its port that are neither listening nor in `TIME_WAIT` (Linux, `proc_net_tcp`).
fn sockets(proxy: &Proxy) -> usize {
    let address = format!("0100007F:{:04X}", proxy.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let of_proxy = table.lines().filter(|line| line.split_whitespace().nth(1) == Some(&address));
    of_proxy
        .filter(|line| !["0A", "06"].contains(&line.split_whitespace().nth(3).unwrap_or_default()))
        .count()
}

//! What many connections do to a proxy: nothing that stays.

use std::fs;
use std::time::Duration;

use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::support::plan::World;
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, TERMINATE, login};
use crate::support::world::Running;

#[tokio::test]
async fn beyond_max_connections_an_application_reads_53300_and_ctrl_c_still_works() {
    for name in ["client", "server"] {
        let world = limited(name, "max_connections: 2").await;
        let first = world.connect("alice").await.unwrap();
        let mut second = session(&world).await;
        let third = world.connect("alice").await.unwrap_err();
        let error = third.as_db_error().unwrap();
        assert_eq!(error.code(), &SqlState::TOO_MANY_CONNECTIONS);
        assert!(error.message().contains("max_connections of this proxy is 2"), "{error}");

        let token = first.cancel_token();
        let cancel = async {
            crate::cancel::wait_for_queries(&world, "select pg_sleep(302)", 1).await;
            token.cancel_query(NoTls).await.unwrap();
        };
        let (slept, ()) = tokio::join!(first.simple_query("select pg_sleep(302)"), cancel);
        assert_eq!(slept.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));

        second.send(TERMINATE).await;
        assert_eq!(second.message().await, None);
        connect_soon(&world).await;
        drop(first);
        world.stop().await;
    }
}

#[tokio::test]
async fn one_peer_gets_no_more_than_max_connections_per_peer() {
    let world = limited("client", "max_connections_per_peer: 1").await;
    let first = world.connect("alice").await.unwrap();
    let second = world.connect("alice").await.unwrap_err();
    let error = second.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::TOO_MANY_CONNECTIONS);
    assert!(error.message().contains("max_connections_per_peer of this proxy is 1"), "{error}");
    drop(first);
    connect_soon(&world).await;
    world.stop().await;
}

#[tokio::test]
async fn silent_connections_do_not_block_an_application_and_end_after_handshake_timeout() {
    for name in ["client", "server"] {
        let world = limited(name, "handshake_timeout: 2s").await;
        let port = world.proxy(name).port();
        let mut silent = Vec::new();
        for _ in 0..300 {
            silent.push(Raw::connect(port).await);
        }
        world.psql("alice", "select 1").await.unwrap();
        for raw in &mut silent {
            assert_eq!(raw.rest().await, b"");
        }
        let log = world.proxy(name).log();
        assert!(log.contains("while waiting for the application's startup packet"));
        assert!(!log.contains("connection failed"), "the hop was blamed");
        world.stop().await;
    }
}

#[tokio::test]
async fn silent_connections_that_take_all_places_give_them_back_after_handshake_timeout() {
    let world = limited("client", "max_connections: 10, handshake_timeout: 2s").await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(Raw::connect(world.client().port()).await);
    }
    connect_soon(&world).await;
    drop(silent);
    world.stop().await;
}

#[tokio::test]
async fn a_thousand_connections_leave_nothing_behind() {
    let world = World::new()
        .with_target("plain", "{host: <postgres>, ssl: {mode: disable}}")
        .target("plain")
        .start()
        .await;
    for _ in 0..20 {
        come_and_go(&world).await;
    }
    let before = settled(&world).await;
    for _ in 0..1000 {
        come_and_go(&world).await;
    }
    for _ in 0..200 {
        if settled(&world).await <= before {
            return world.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("before {before:?}, after {:?}", settled(&world).await);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_a_file_descriptor_left_it_waits_and_goes_on() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let world = World::new().start().await;
    let server = world.server();
    let limit = Rlimit { current: Some(40), maximum: Some(40) };
    prlimit(Pid::from_raw(i32::try_from(server.id()).unwrap()), Resource::Nofile, limit).unwrap();
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.unwrap());
    }
    server.wait_for_log("no connection can be accepted; trying again").await;
    drop(silent);
    connect_soon(&world).await;
    world.stop().await;
}

async fn limited(name: &str, limits: &str) -> Running {
    let yaml = format!("proxy: {{{limits}}}");
    let world =
        if name == "client" { World::new().with_client(&yaml) } else { World::new().with_server(&yaml) };
    world.start().await
}

async fn session(world: &Running) -> Raw {
    Raw::session(world.client().port(), "alice").await
}

async fn come_and_go(world: &Running) {
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("by_trust")).await;
    raw.until_ready().await;
    raw.send(TERMINATE).await;
    assert_eq!(raw.message().await, None);
}

/// A place is given back a moment after its session has ended.
async fn connect_soon(world: &Running) {
    for _ in 0..200 {
        if world.psql("alice", "select 1").await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no place was given back");
}

/// What client and server hold: open files, and connections at their ports that are not over.
async fn settled(world: &Running) -> Vec<usize> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    [world.client(), world.server()]
        .into_iter()
        .flat_map(|proxy| [open_files(proxy), sockets(proxy)])
        .collect()
}

/// The number of its open files; none where only root may know, since the process keeps itself private.
fn open_files(proxy: &Proxy) -> usize {
    fs::read_dir(format!("/proc/{}/fd", proxy.id())).map_or(0, Iterator::count)
}

/// TCP sockets at its port that are neither listening nor in `TIME_WAIT` (Linux, `proc_net_tcp`).
fn sockets(proxy: &Proxy) -> usize {
    let place = format!("0100007F:{:04X}", proxy.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let of_proxy = table.lines().filter(|line| line.split_whitespace().nth(1) == Some(&place));
    of_proxy
        .filter(|line| !["0A", "06"].contains(&line.split_whitespace().nth(3).unwrap_or_default()))
        .count()
}

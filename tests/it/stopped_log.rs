//! A log without a reader, and one that cannot be written: neither stops a session, a probe or the process.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::operations::{ADMIN, count, get, get_at, lines, until_counted};
use crate::support::builder::World;
use crate::support::ports::free_port;
use crate::support::proxy::{Launch, Proxy};
use crate::support::raw::{Raw, Refusal, TERMINATE, query};
use crate::support::world::Running;

const DROPPED: &str = "rds_auth_proxy_log_lines_dropped_total";

/// Their lines are more than a pipe holds.
const SESSIONS: usize = 200;

#[tokio::test]
async fn a_reader_that_stops_stops_no_session_no_probe_and_no_sigterm() {
    let yaml = "proxy: {admin_addr: '127.0.0.1:0', drain_timeout: 1s}";
    let mut world = World::new().with_server(yaml).with_client(yaml).start().await;
    let running = world.connect("alice").await.unwrap();
    for name in ["client", "server"] {
        assert_eq!(get(world.proxy(name), "/livez").await.0, 200);
        world.proxy(name).stderr.pause(true);
    }
    for number in 0..SESSIONS {
        let session =
            within(world.connect("alice")).await.unwrap_or_else(|error| panic!("{number}: {error}"));
        within(session.simple_query("select 1")).await.unwrap();
    }
    let row = within(running.query_one("select repeat('x', 300000)", &[])).await.unwrap();
    assert_eq!(row.get::<_, String>(0).len(), 300_000);
    for name in ["client", "server"] {
        assert_eq!(within(get(world.proxy(name), "/livez")).await.0, 200);
        let (status, text) = within(get(world.proxy(name), "/metrics")).await;
        assert_eq!(status, 200);
        let lost = format!("{DROPPED}{{kind=\"audit\",cause=\"queue_full\"}}");
        assert_eq!(count(&text, &lost), 0, "the queue holds them");
    }
    for name in ["client", "server"] {
        let proxy = world.proxy_mut(name);
        proxy.signal(Signal::TERM);
        let began = Instant::now();
        let status = proxy.ended_within(Duration::from_secs(15)).await.expect("SIGTERM ends it");
        assert!(status.success(), "{status}");
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        proxy.stderr.pause(false);
    }
}

#[tokio::test]
async fn a_reader_that_continues_reads_all_audit_lines() {
    let world = World::new().with_server(ADMIN).start().await;
    let server = world.server();
    server.wait_for_log("answering probes").await;
    server.stderr.pause(true);
    for _ in 0..SESSIONS {
        within(world.connect("alice")).await.unwrap();
    }
    server.stderr.pause(false);
    let all = |message| lines(server, message).len() == SESSIONS;
    for _ in 0..100 {
        if all("session began") && all("session ended") {
            return world.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} lines", lines(server, "session began").len());
}

#[tokio::test]
async fn a_log_on_a_full_disk_is_counted_and_stops_nothing() {
    let (port, admin) = (free_port(), free_port());
    let yaml = format!(
        "proxy: {{listen_addr: '127.0.0.1:{port}', admin_addr: '127.0.0.1:{admin}', drain_timeout: 1s}}"
    );
    let world =
        World::new().with_target("by-trust", TARGET).with_server(&yaml).without_server().without_client();
    let world = world.start().await;
    let launch =
        Launch::mode("full", "server", &world.directory.join("server.yaml")).in_shell("exec 2>/dev/full");
    let mut server = world.launch(launch, &world.server_key).start_at(&format!("127.0.0.1:{port}")).await;
    let mut session = session_at(&world, &server, "psql").await;
    let text = get_at(&format!("127.0.0.1:{admin}"), "/metrics").await.1;
    for kind in ["log", "audit"] {
        let failed = format!("{DROPPED}{{kind=\"{kind}\",cause=\"write_failed\"}}");
        assert!(count(&text, &failed) > 0, "{text}");
    }
    session.send(TERMINATE).await;
    server.signal(Signal::TERM);
    assert!(server.ended_within(Duration::from_secs(8)).await.expect("SIGTERM ends it").success());
}

#[tokio::test]
async fn with_on_full_refuse_no_session_begins_whose_lines_could_be_lost() {
    let yaml = "{proxy: {admin_addr: '127.0.0.1:0', max_connections: 5000}, audit: {on_full: refuse}}";
    let world = World::new().with_target("by-trust", TARGET).with_server(yaml).without_client().start().await;
    let server = world.server();
    assert_eq!(get(server, "/livez").await.0, 200);
    let mut running = session_at(&world, server, "psql").await;
    server.stderr.pause(true);
    // A long name, so that few sessions fill the queue.
    let name = "🐘".repeat(128);
    let mut sessions = 0;
    let refusal = loop {
        match try_session(&world, server, &name).await {
            Ok(mut session) => session.send(TERMINATE).await,
            Err(refusal) => break refusal,
        }
        sessions += 1;
        assert!(sessions < 5000, "the queue never fills");
    };
    assert_eq!(refusal.sqlstate(), "53000");
    assert!(refusal.message().starts_with("rds-auth-proxy: new sessions are refused"), "{refusal:?}");
    running.send(&query("select 1")).await;
    assert_eq!(running.message().await.unwrap().tag, b'T', "running sessions go on");
    let refused =
        "rds_auth_proxy_refused_total{fault=\"proxy\",reason=\"audit_queue_full\",target=\"by-trust\"} 1";
    let text = until_counted(server, &[refused]).await;
    assert_eq!(count(&text, &format!("{DROPPED}{{kind=\"audit\",cause=\"queue_full\"}}")), 0, "{text}");

    server.stderr.pause(false);
    let deadline = Instant::now() + Duration::from_secs(20);
    while try_session(&world, server, "psql").await.is_err() {
        assert!(Instant::now() < deadline, "sessions begin again when the lines are written");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.wait_for_log("new sessions are refused: audit lines could be lost").await;
    drop(running);
    world.stop().await;
}

#[tokio::test]
async fn with_on_full_refuse_a_disk_that_is_full_begins_no_session() {
    let port = free_port();
    let yaml = format!("{{proxy: {{listen_addr: '127.0.0.1:{port}'}}, audit: {{on_full: refuse}}}}");
    let world =
        World::new().with_target("by-trust", TARGET).with_server(&yaml).without_server().without_client();
    let world = world.start().await;
    let launch =
        Launch::mode("full", "server", &world.directory.join("server.yaml")).in_shell("exec 2>/dev/full");
    let server = world.launch(launch, &world.server_key).start_at(&format!("127.0.0.1:{port}")).await;
    let refusal = try_session(&world, &server, "psql").await.err().expect("a refusal");
    assert_eq!(refusal.sqlstate(), "53000");
}

#[tokio::test]
async fn the_last_lines_are_written_before_the_process_ends() {
    for _ in 0..5 {
        let mut world = World::new().with_server("proxy: {drain_timeout: 0}").start().await;
        let session = world.connect("alice").await.unwrap();
        world.proxy_mut("server").stop().await;
        let ended = lines(world.server(), "session ended");
        assert_eq!(ended.len(), 1, "{}", world.server().log());
        assert_eq!(ended[0]["outcome"], "shutdown");
        drop(session);
    }
}

/// A static target without TLS: its logins are quick.
const TARGET: &str = "{host: <postgres>, ssl: {mode: disable}}";

async fn session_at(world: &Running, server: &Proxy, name: &str) -> Raw {
    try_session(world, server, name).await.unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

/// A session of a user without a password, or the text of the refusal.
async fn try_session(world: &Running, server: &Proxy, name: &str) -> Result<Raw, Refusal> {
    let host = format!("localhost:{}", world.postgres.port);
    let parameters = [("user", "by_trust"), ("database", "app"), ("application_name", name), ("host", &host)];
    within(Raw::log_in(server.port(), &parameters)).await.map(|(raw, _)| raw)
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("it blocks")
}

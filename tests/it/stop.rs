//! The shutdown of a proxy, and the errors that a session receives when a peer is lost.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::cancel::wait_for_queries;
use crate::operations::{lines, until_counted};
use crate::support::builder::World;
use crate::support::raw::{Raw, V3_0, login, query, startup};
use crate::support::scratch::unique;
use crate::support::world::Running;

const LOST: &[&str] = &["rds-auth-proxy: the connection to", "was lost"];

#[tokio::test]
async fn the_server_cancels_the_query_of_a_killed_application() {
    let world = World::new().start().await;
    let sql = format!("select pg_sleep(300) as {}", unique("vanished"));
    let mut command = world.psql_command(world.client(), "alice");
    let mut psql = command.args(["-c", &sql]).stderr(Stdio::null()).spawn().unwrap();
    wait_for_queries(&world, &sql, 1).await;
    psql.kill().await.unwrap();
    wait_for_queries(&world, &sql, 0).await;
    assert_eq!(world.rds().cancels(), 1);
    world.stop().await;
}

/// docs/guides/runbook.md, "What does a kill -9 leave running?".
#[tokio::test]
async fn a_killed_server_leaves_a_statement_running() {
    let mut world = World::new().start().await;
    let sql = format!("select pg_sleep(300) as {}", unique("left"));
    let mut busy = session(&world).await;
    busy.send(&query(&sql)).await;
    wait_for_queries(&world, &sql, 1).await;
    world.proxy_mut("server").kill();
    busy.rest().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    wait_for_queries(&world, &sql, 1).await;
    let cancel = format!("select pg_cancel_backend(pid) from pg_stat_activity where query = '{sql}'");
    world.postgres.value(&cancel).await.unwrap();
    wait_for_queries(&world, &sql, 0).await;
}

/// A server takes a cancel request only with the target in it.
#[tokio::test]
async fn a_client_cancels_the_query_of_a_session_that_it_ends_at_its_server() {
    let (server, client) =
        ("proxy: {cancel_on_disconnect: false}", "proxy: {idle_timeout: 1s, cancel_on_disconnect: true}");
    let world = World::new().with_server(server).with_client(client).start().await;
    let sql = format!("select pg_sleep(300) as {}", unique("idle"));
    let mut busy = session(&world).await;
    busy.send(&query(&sql)).await;
    wait_for_queries(&world, &sql, 1).await;
    wait_for_queries(&world, &sql, 0).await;
    assert_eq!(world.rds().cancels(), 1);
    world.stop().await;
}

#[tokio::test]
async fn an_idle_application_receives_an_error_when_the_database_is_lost() {
    let world = World::new().start().await;
    let mut idle = session(&world).await;
    world.rds().drop_connections();
    idle.refused().await.expect("08006", LOST);
    world.psql("alice", "select 1").await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_session_in_the_middle_of_an_answer_closes_silently_when_the_database_is_lost() {
    let world = World::new().start().await;
    let mut busy = session(&world).await;
    busy.send(&query("select repeat('x', 100000); select pg_sleep(300)")).await;
    assert_eq!(busy.message().await.unwrap().tag, b'T');
    world.rds().drop_connections();
    // The application could read an error of the proxy as a part of the answer.
    let rest = busy.rest().await;
    assert!(!String::from_utf8_lossy(&rest).contains("rds-auth-proxy"));
    world.stop().await;
}

#[tokio::test]
async fn the_databases_shutdown_messages_pass_unchanged() {
    let world = World::new().with_own_postgres().start().await;
    let mut ended = session(&world).await;
    let terminate = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'alice'";
    world.postgres.value(terminate).await.unwrap();
    assert_eq!(
        ended.refused().await.message(),
        "terminating connection due to administrator command",
        "the database's error passes"
    );
    let mut crashed = session(&world).await;
    // A backend that is still sending does not interrupt itself for the warning.
    let listens = "select 1 from pg_stat_activity where usename = 'alice' and wait_event = 'ClientRead'";
    while world.postgres.value(listens).await.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.postgres.stop();
    // PostgreSQL sends this message as a warning.
    let warning = crashed.message().await.unwrap();
    assert!(String::from_utf8_lossy(&warning.body).contains("immediate shutdown"), "{warning:?}");
    assert_eq!(crashed.message().await, None);

    let mut next = Raw::connect(world.client().port()).await;
    next.send(&login("by_trust")).await;
    next.refused().await.expect("57P03", &["the database db-1 at localhost:", "hung up"]);
    world.stop().await;
}

#[tokio::test]
async fn an_idle_application_receives_an_error_when_the_server_is_killed() {
    let mut world = World::new().start().await;
    let mut idle = session(&world).await;
    world.proxy_mut("server").kill();
    idle.refused().await.expect("08006", LOST);
    let mut next = Raw::connect(world.client().port()).await;
    next.send(&login("alice")).await;
    next.refused()
        .await
        .expect("57P03", &["the upstream proxy default at localhost:", "cannot be reached: ", "refused"]);
}

#[tokio::test]
async fn a_stopping_proxy_finishes_sessions_and_accepts_no_new_ones() {
    for name in ["server", "client"] {
        let mut world = World::new().start().await;
        let mut running = session(&world).await;
        let port = world.proxy(name).port();
        world.proxy(name).signal(Signal::TERM);
        wait_until_refused(port).await;
        for _ in 0..3 {
            running.send(&query("select 1")).await;
            running.until_ready().await;
        }
        let leaving = Instant::now();
        drop(running);
        assert!(world.proxy_mut(name).wait().await.success());
        // With a session left it would wait for `drain_timeout` (30 s), or ten seconds for a side that does not close.
        assert!(leaving.elapsed() < Duration::from_secs(9), "the {name} waits without sessions");
    }
}

#[tokio::test]
async fn an_idle_session_receives_57p01_after_drain_timeout() {
    for name in ["server", "client"] {
        let mut world = draining(name, "4s").await;
        let mut idle = session(&world).await;
        world.proxy(name).signal(Signal::TERM);
        idle.expect_silence(Duration::from_millis(500)).await;
        idle.refused().await.expect("57P01", &["rds-auth-proxy: this proxy is shutting down"]);
        drop(idle);
        assert!(world.proxy_mut(name).wait().await.success());
        assert_eq!(world.rds().cancels(), 0, "the proxy cancels a query of an idle session");
    }
}

#[tokio::test]
async fn an_application_in_the_middle_of_its_login_receives_57p01() {
    let yaml = "proxy: {drain_timeout: 0, admin_addr: '127.0.0.1:0'}";
    let mut world = World::new().with_server(yaml).start().await;
    let host = world.rds().endpoint();
    let mut app = Raw::connect(world.server().port()).await;
    app.send(&startup(V3_0, &[("user", "by_password"), ("database", "app"), ("host", &host)])).await;
    assert_eq!(app.message().await.unwrap().tag, b'R', "no password request came");
    // The proxy closes a connection without a startup packet too.
    let silent = Raw::connect(world.server().port()).await;
    until_counted(world.server(), &["rds_auth_proxy_connections_open 2"]).await;
    world.server().signal(Signal::TERM);
    app.refused().await.expect("57P01", &["rds-auth-proxy: this proxy is shutting down"]);
    drop((app, silent));
    assert!(world.proxy_mut("server").wait().await.success());
    assert_eq!(lines(world.server(), "connection failed").len(), 0, "a shutdown is logged as a failure");
    let refused = lines(world.server(), "connection refused");
    assert_eq!(refused.len(), 2, "{}", world.server().log());
    for line in refused {
        assert_eq!((&line["level"], &line["fault"]), (&"INFO".into(), &"proxy".into()));
        assert_eq!(line["error"], "this proxy is shutting down; connect again");
    }
}

#[tokio::test]
async fn a_session_that_waits_for_an_answer_receives_57p01_after_drain_timeout() {
    let mut world = draining("server", "1s").await;
    let mut busy = session(&world).await;
    let sql = format!("select pg_sleep(300) as {}", unique("drained"));
    busy.send(&query(&sql)).await;
    wait_for_queries(&world, &sql, 1).await;
    world.server().signal(Signal::TERM);
    busy.refused().await.expect("57P01", &["rds-auth-proxy: this proxy is shutting down"]);
    drop(busy);
    assert!(world.proxy_mut("server").wait().await.success());
    assert_eq!(world.rds().cancels(), 1);
    wait_for_queries(&world, &sql, 0).await;
}

#[tokio::test]
async fn the_server_cancels_the_running_query_after_idle_timeout() {
    let world = World::new().with_server("proxy: {idle_timeout: 1s}").start().await;
    let mut silent = session(&world).await;
    let sql = format!("select pg_sleep(300) as {}", unique("silent"));
    silent.send(&query(&sql)).await;
    wait_for_queries(&world, &sql, 1).await;
    silent.refused().await.expect("57P05", &["the session was idle for 1 s"]);
    wait_for_queries(&world, &sql, 0).await;
    world.stop().await;
}

#[tokio::test]
async fn a_session_in_the_middle_of_an_answer_closes_silently_after_drain_timeout() {
    let mut world = draining("server", "1s").await;
    let mut busy = session(&world).await;
    busy.send(&query("select repeat('x', 100000); select pg_sleep(300)")).await;
    assert_eq!(busy.message().await.unwrap().tag, b'T');
    world.proxy_mut("server").stop().await;
    // The application could read an error of the proxy as a part of the answer.
    assert!(!String::from_utf8_lossy(&busy.rest().await).contains("rds-auth-proxy"));
}

#[tokio::test]
async fn drain_timeout_forever_lasts_until_the_second_signal() {
    let mut world = draining("server", "forever").await;
    let mut idle = session(&world).await;
    world.server().signal(Signal::TERM);
    idle.expect_silence(Duration::from_secs(2)).await;
    idle.send(&query("select 1")).await;
    idle.until_ready().await;
    world.server().signal(Signal::TERM);
    idle.refused().await.expect("57P01", &["shutting down"]);
    drop(idle);
    assert!(world.proxy_mut("server").wait().await.success());
}

#[tokio::test]
async fn a_second_signal_ends_everything_at_once() {
    for (name, signal) in [("server", Signal::TERM), ("client", Signal::INT)] {
        let mut world = draining(name, "1h").await;
        let mut idle = session(&world).await;
        world.proxy(name).signal(signal);
        idle.expect_silence(Duration::from_millis(500)).await;
        world.proxy(name).signal(signal);
        idle.refused().await.expect("57P01", &["shutting down"]);
        drop(idle);
        assert!(world.proxy_mut(name).wait().await.success());
    }
}

#[tokio::test]
async fn the_server_accepts_connections_during_shutdown_delay() {
    let mut world = World::new().with_server("proxy: {shutdown_delay: 5m}").start().await;
    world.server().signal(Signal::TERM);
    world.server().wait_for_log("stopping").await;
    world.psql("alice", "select 1").await.unwrap();
    // A second signal ends the shutdown at once.
    world.server().signal(Signal::TERM);
    assert!(world.proxy_mut("server").wait().await.success());
}

async fn draining(name: &str, timeout: &str) -> Running {
    let yaml = format!("proxy: {{drain_timeout: {timeout}}}");
    let world = World::new();
    let world = if name == "server" { world.with_server(&yaml) } else { world.with_client(&yaml) };
    world.start().await
}

async fn session(world: &Running) -> Raw {
    Raw::session(world.client().port(), "alice").await
}

async fn wait_until_refused(port: u16) {
    for _ in 0..1200 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the proxy still accepts connections");
}

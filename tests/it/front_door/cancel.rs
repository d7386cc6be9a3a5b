//! Cancel requests without a client: they find their target as the session did, through any replica.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::{orders, psql};
use crate::cancel::{expect_cancelled, request_cancel, wait_for_queries};
use crate::support::certificates::Authority;
use crate::support::raw::{Raw, SSL_REQUEST, packet, query, tls};
use crate::support::scratch::unique;
use crate::support::world::Running;

/// A session by the default or without TLS, in the middle of a long query, and its cancel key.
async fn sleeper(world: &Running) -> (Raw, Vec<u8>) {
    let port = world.server().port();
    let (mut session, messages) =
        Raw::log_in(port, &[("user", "by_trust"), ("database", "app")]).await.expect("the login fails");
    let key = messages.iter().find(|message| message.tag == b'K').expect("no key").body.clone();
    let sql = format!("select pg_sleep(300) as {}", unique("door"));
    session.send(&query(&sql)).await;
    wait_for_queries(world, &sql, 1).await;
    (session, key)
}

fn cancel_packet(key: &[u8]) -> Vec<u8> {
    packet(&[&[4, 210, 22, 46], key].concat())
}

/// psql 15 sends its cancel request in clear text, without a name.
#[tokio::test]
async fn ctrl_c_in_psql_cancels_by_the_default() {
    let world = orders().await.with_server("proxy: {default_target: orders}").start().await;
    let sql = format!("select pg_sleep(300) as {}", unique("ctrl_c_at_the_door"));
    let mut command = psql(&world, world.server(), "orders.db.example", "by_scram");
    let psql = command.args(["-c", &sql]).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_queries(&world, &sql, 1).await;
    let pid = Pid::from_raw(i32::try_from(psql.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    let ended = tokio::time::timeout(Duration::from_mins(1), psql.wait_with_output()).await;
    let stderr = String::from_utf8_lossy(&ended.expect("psql still waits").unwrap().stderr).into_owned();
    assert!(stderr.contains("canceling statement due to user request"), "{stderr}");
    world.server().wait_for_log("cancel request delivered").await;
    world.stop().await;
}

/// The other server has never seen the session.
#[tokio::test]
async fn another_replica_cancels_in_clear_text_by_the_default_and_in_tls_by_the_name() {
    let names = "targets: {orders: {server_names: [localhost]}}";
    let default = "proxy: {default_target: orders}";
    let world = orders().await.with_server(names).with_server(default).with_second_server().start().await;
    let second = world.proxy("server-2");
    for encrypted in [false, true] {
        let (mut session, key) = sleeper(&world).await;
        if encrypted {
            let mut raw = Raw::connect(second.port()).await.request_tls().await;
            raw.send(&cancel_packet(&key)).await;
            assert_eq!(raw.byte().await, None);
        } else {
            request_cancel(second, &key).await;
        }
        expect_cancelled(&mut session).await;
    }
    second.wait_for_log("cancel request delivered").await;
    assert!(!world.server().log().contains("cancel request delivered"));
    world.stop().await;
}

#[tokio::test]
async fn without_a_default_a_cancel_request_needs_tls_with_a_name_and_the_log_says_so() {
    let names = "targets: {orders: {server_names: [localhost]}}";
    let world = orders().await.with_server(names).start().await;
    let direct = Raw::connect(world.server().port()).await.encrypt(&tls(&[b"postgresql"])).await.unwrap();
    let (mut session, key) = sleeper_over(&world, direct).await;
    request_cancel(world.server(), &key).await;
    let text = "a cancel request names no target: it has no TLS server name (SNI), and proxy.default_target is not set; \
                libpq before 17 and many drivers send cancel requests in clear text, without a name";
    world.server().wait_for_log(text).await;
    session.expect_silence(Duration::from_millis(300)).await;
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(SSL_REQUEST).await;
    assert_eq!(raw.byte().await, Some(b'S'));
    let mut raw = raw.encrypt(&tls(&[])).await.unwrap();
    raw.send(&cancel_packet(&key)).await;
    assert_eq!(raw.byte().await, None);
    expect_cancelled(&mut session).await;
    world.stop().await;
}

/// As [`sleeper`], over a connection that is open.
async fn sleeper_over(world: &Running, mut session: Raw) -> (Raw, Vec<u8>) {
    session.send(&crate::support::raw::login("by_trust")).await;
    let messages = session.until_ready().await;
    let key = messages.iter().find(|message| message.tag == b'K').expect("no key").body.clone();
    let sql = format!("select pg_sleep(300) as {}", unique("door"));
    session.send(&query(&sql)).await;
    wait_for_queries(world, &sql, 1).await;
    (session, key)
}

/// libpq 18 sends its cancel requests over TLS, with the name, and uses direct TLS and protocol 3.2.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[tokio::test]
async fn libpq_18_cancels_without_a_default() {
    let world = orders().await.start().await;
    expect_libpq_18(&world, world.server().port()).await;
    world.stop().await;
}

/// libpq 18 logs in at this port, by SSLRequest and by direct TLS, and cancels queries. Skipped where it cannot be installed.
#[cfg(target_os = "linux")]
pub(super) async fn expect_libpq_18(world: &Running, port: u16) {
    let Some(python) = crate::drivers::python().await else { return };
    let mut command = tokio::process::Command::new(python.join("bin/python"));
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers/front_door.py");
    command
        .arg(script)
        .env("CA", &Authority::trusted().path)
        .env("PGPORT", port.to_string())
        .env("PGPASSWORD", world.postgres.password("by_scram"))
        .env("HOME", &world.directory)
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_mins(2), command.output()).await;
    let output = output.expect("the script hangs").unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "ok\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

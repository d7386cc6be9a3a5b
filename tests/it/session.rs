//! Sessions: bulk data, notifications, idle timeouts and half-closed connections.

use std::pin::pin;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};

use crate::support::builder::World;
use crate::support::raw::{Raw, TERMINATE, login, query};
use crate::support::scratch::random_text;

const MEGABYTE: usize = 1_000_000;

#[tokio::test]
async fn copy_transfers_200_megabytes_each_way_unchanged() {
    let world = World::new().start().await;
    let session = world.connect("alice").await.unwrap();
    session
        .batch_execute(
            "create temp table bulk (n int, line text); alter table bulk alter line set storage external",
        )
        .await
        .unwrap();
    let block = random_text(MEGABYTE);
    let mut sent = Context::new(&SHA256);
    let mut upload = pin!(session.copy_in("copy bulk from stdin").await.unwrap());
    for n in 1..=200 {
        let line = Bytes::from(format!("{n}\t{n:06}{block}\n"));
        sent.update(&line);
        upload.send(line).await.unwrap();
    }
    assert_eq!(upload.finish().await.unwrap(), 200);
    let sent = hex::encode(sent.finish());

    let sql = r"select encode(sha256(convert_to(string_agg(n || E'\t' || line || E'\n', '' order by n), 'UTF8')), 'hex') from bulk";
    let stored: String = session.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(stored, sent, "COPY in changed the data");

    let mut received = Context::new(&SHA256);
    let mut download =
        pin!(session.copy_out("copy (select * from bulk order by n) to stdout").await.unwrap());
    while let Some(chunk) = download.next().await {
        received.update(&chunk.unwrap());
    }
    assert_eq!(hex::encode(received.finish()), sent, "COPY out changed the data");
    drop(session);
    world.stop().await;
}

#[tokio::test]
async fn a_row_of_100_megabytes_passes_both_ways_without_being_buffered() {
    let world = World::new().start().await;
    let session = world.connect("alice").await.unwrap();
    let text = "0123456789".repeat(10 * MEGABYTE);
    let row = session.query_one("select $1::text, md5($1)", &[&text]).await.unwrap();
    assert!(row.get::<_, String>(0) == text, "the row came back changed");
    assert_eq!(
        row.get::<_, String>(1),
        world.postgres.value("select md5(repeat('0123456789', 10000000))").await.unwrap()
    );
    for proxy in [world.client(), world.server()] {
        if let Some(kilobytes) = proxy.peak_memory() {
            assert!(kilobytes < 90_000, "the {} took {kilobytes} kB", proxy.name);
        }
    }
    drop(session);
    world.stop().await;
}

#[tokio::test]
async fn a_notification_reaches_an_idle_session() {
    let world = World::new().start().await;
    let mut listener = session(&world).await;
    listener.send(&query("listen news")).await;
    listener.until_ready().await;
    world.psql("alice", "notify news, 'it is raining'").await.unwrap();
    let notification = listener.message().await.unwrap();
    assert_eq!(notification.tag, b'A');
    assert!(notification.body.ends_with(b"news\0it is raining\0"), "{notification:?}");
    drop(listener);
    world.stop().await;
}

#[tokio::test]
async fn an_idle_session_receives_57p05_after_idle_timeout() {
    for (in_client, yaml) in [(false, "proxy: {idle_timeout: 4s}"), (true, "proxy: {idle_timeout: 4000ms}")] {
        let world = if in_client { World::new().with_client(yaml) } else { World::new().with_server(yaml) };
        let world = world.start().await;
        let mut idle = session(&world).await;
        idle.expect_silence(Duration::from_millis(2100)).await;
        // Any byte restarts the timeout.
        run(&mut idle, "select 1").await;
        idle.expect_silence(Duration::from_millis(2100)).await;
        idle.refused().await.expect("57P05", &["rds-auth-proxy: ", "idle for 4 s", "idle_timeout"]);
        world.stop().await;
    }
}

#[tokio::test]
async fn without_idle_timeout_no_other_timeout_ends_a_session() {
    let timeouts = "proxy: {handshake_timeout: 3s, connect_timeout: 1s, drain_timeout: 1s}";
    let world = World::new().with_server(timeouts).with_client(timeouts).start().await;
    let mut idle = session(&world).await;
    idle.expect_silence(Duration::from_secs(5)).await;
    run(&mut idle, "select 1").await;
    // A session that waits for a slow answer does not end either.
    run(&mut idle, "select pg_sleep(4)").await;
    drop(idle);
    world.stop().await;
}

#[tokio::test]
async fn a_half_closed_application_receives_all_results() {
    let world = World::new().with_server_tls().start().await;
    let mut half = session(&world).await;
    half.send(&query("select g, repeat('x', 100) from generate_series(1, 200000) g")).await;
    half.close_write().await;
    let messages = half.until_ready().await;
    assert_eq!(messages.iter().filter(|message| message.tag == b'D').count(), 200_000);
    assert_eq!(half.message().await, None);
    world.stop().await;
}

#[tokio::test]
async fn a_half_closed_application_receives_a_slow_answer() {
    let world = World::new().with_client_tls().start().await;
    let mut half = Raw::connect(world.client().port()).await.request_tls().await;
    half.send(&login("alice")).await;
    half.until_ready().await;
    half.send(&query("select 'late' from pg_sleep(3)")).await;
    half.close_write().await;
    let messages = half.until_ready().await;
    assert_eq!(messages[1].column(), "late");
    assert_eq!(half.message().await, None);
    world.stop().await;
}

#[tokio::test]
async fn terminate_ends_the_session_in_client_and_server() {
    let world = World::new().start().await;
    let mut leaving = session(&world).await;
    leaving.send(TERMINATE).await;
    assert_eq!(leaving.message().await, None);
    for proxy in [world.client(), world.server()] {
        proxy.wait_for_log("session ended").await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_database_error_passes_unchanged() {
    let world = World::new().start().await;
    let mut raw = session(&world).await;
    raw.send(&query("select 1/0")).await;
    let refusal = raw.message().await.unwrap().refusal();
    assert_eq!((refusal.sqlstate(), refusal.message()), ("22012", "division by zero"));
    raw.until_ready().await;
    raw.send(b"\xff\xff\xff\xff\xff\xff").await;
    let refusal = raw.refused().await;
    assert_eq!((refusal.sqlstate(), refusal.message()), ("08P01", "invalid frontend message type 255"));
    world.stop().await;
}

/// A session of `alice` through the client.
async fn session(world: &crate::support::world::Running) -> Raw {
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("alice")).await;
    raw.until_ready().await;
    raw
}

async fn run(raw: &mut Raw, sql: &str) {
    raw.send(&query(sql)).await;
    raw.until_ready().await;
}

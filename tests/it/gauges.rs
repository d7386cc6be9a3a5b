//! Metrics of sessions that run: pending connections, the oldest session, bytes, and logins by target.

use std::time::Duration;

use crate::operations::{ADMIN, count, get, lines, metric, until_counted};
use crate::support::builder::World;
use crate::support::raw::Raw;

const RECEIVED: &str = "rds_auth_proxy_bytes_total{target=\"db-1\",direction=\"received\"}";
const SENT: &str = "rds_auth_proxy_bytes_total{target=\"db-1\",direction=\"sent\"}";
const OLDEST: &str = "rds_auth_proxy_oldest_session_seconds";
const PENDING: &str = "rds_auth_proxy_connections_pending";

#[tokio::test]
async fn bytes_count_while_a_session_runs_and_once() {
    let world = World::new().with_server(ADMIN).start().await;
    let server = world.server();
    until_counted(server, &[&format!("{OLDEST} 0"), &format!("{PENDING} 0")]).await;
    let session = world.connect("alice").await.unwrap();
    session.simple_query("select repeat('x', 100000)").await.unwrap();
    let running = get(server, "/metrics").await.1;
    assert!(count(&running, RECEIVED) > 100_000 && count(&running, SENT) > 20, "{running}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let again = get(server, "/metrics").await.1;
    assert_eq!(count(&again, RECEIVED), count(&running, RECEIVED), "nothing counts twice");
    let age = metric(&again, &format!("{OLDEST} "));
    assert!((1..60).contains(&age), "{age}");

    session.simple_query("select repeat('x', 200000)").await.unwrap();
    drop(session);
    let ended =
        "rds_auth_proxy_sessions_total{target=\"db-1\",ended_by=\"application\",outcome=\"closed\"} 1";
    let text = until_counted(server, &[ended, &format!("{OLDEST} 0")]).await;
    let line = lines(server, "session ended").pop().unwrap();
    let of_line = ["received", "sent"].map(|field| line[field].as_u64().unwrap());
    assert_eq!([RECEIVED, SENT].map(|series| count(&text, series)), of_line, "{line}");
    world.stop().await;
}

#[tokio::test]
async fn connections_without_a_startup_packet_are_pending() {
    let world = World::new().with_server(ADMIN).without_client().start().await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(Raw::connect(world.server().port()).await);
    }
    until_counted(world.server(), &[&format!("{PENDING} 3")]).await;
    drop(silent);
    until_counted(world.server(), &[&format!("{PENDING} 0")]).await;
    world.stop().await;
}

#[tokio::test]
async fn the_duration_of_logins_counts_by_target() {
    let world = World::new().with_instance("db-1").with_instance("db-2").with_server(ADMIN).start().await;
    let of = |target: &str| format!("rds_auth_proxy_login_seconds_count{{target=\"{target}\"}}");
    // They exist before the first login.
    until_counted(world.server(), &[&format!("{} 0", of("db-1")), &format!("{} 0", of("db-2"))]).await;
    world.psql("alice", "select 1").await.unwrap();
    world.psql("no-such-user", "select 1").await.unwrap_err();
    let text = get(world.server(), "/metrics").await.1;
    assert_eq!((count(&text, &of("db-1")), count(&text, &of("db-2"))), (1, 0), "{text}");
    let in_a_minute = "rds_auth_proxy_login_seconds_bucket{target=\"db-1\",le=\"60\"} 1";
    assert!(text.lines().any(|line| line == in_a_minute), "{text}");
    world.stop().await;
}

#[tokio::test]
async fn every_series_of_a_target_exists_before_the_first_connection() {
    let world = World::new().with_server(ADMIN).with_client(ADMIN).start().await;
    for proxy in [world.server(), world.client()] {
        let expected = [
            "rds_auth_proxy_sessions_open{target=\"db-1\"} 0",
            "rds_auth_proxy_sessions_total{target=\"db-1\",ended_by=\"hop\",outcome=\"broken\"} 0",
            "rds_auth_proxy_logins_waiting{target=\"db-1\"} 0",
            "rds_auth_proxy_logins_open{target=\"db-1\"} 0",
            "rds_auth_proxy_logins_delayed_total{cause=\"limit\"} 0",
            "rds_auth_proxy_cancel_requests_total{target=\"db-1\"} 0",
            "rds_auth_proxy_bytes_total{target=\"db-1\",direction=\"sent\"} 0",
        ];
        until_counted(proxy, &expected).await;
    }
    world.stop().await;
}

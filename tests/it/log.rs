//! What peers can write into the log: how many lines, how long, and which characters.

use std::time::Duration;

use serde_json::Value;

use crate::operations::{ADMIN, lines, until_counted};
use crate::support::builder::World;
use crate::support::fake_database::FakeDatabase;
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, SSL_REQUEST, V3_0, message, startup};

/// Logs in at the server, which refuses it.
async fn refused(server: &Proxy, parameters: &[(&str, &str)]) {
    assert!(Raw::log_in(server.port(), parameters).await.is_err());
}

/// The number of refusals that the lines with this message report.
fn reported(server: &Proxy, message: &str) -> u64 {
    lines(server, message).iter().map(|line| line["repeated"].as_u64().unwrap_or(1)).sum()
}

#[tokio::test]
async fn refusals_of_one_kind_share_a_line_and_metrics_count_all() {
    let mut world = World::new().with_server(ADMIN).without_client().start().await;
    let server = world.server();
    server.wait_for_log("the list of targets changed").await;
    let unknown = [("user", "by_trust"), ("host", "localhost:1")];
    for _ in 0..40 {
        refused(server, &unknown).await;
    }
    refused(server, &[("user", "by_trust")]).await;
    let counted = |reason: &str, count: u32| {
        format!(
            "rds_auth_proxy_refused_total{{fault=\"application\",reason=\"{reason}\",target=\"other\"}} {count}"
        )
    };
    until_counted(server, &[&counted("unknown_target", 40), &counted("no_target", 1)]).await;
    let of = |text: &str| -> Vec<Value> {
        let all = lines(server, "connection refused").into_iter();
        all.filter(|line| line["error"].as_str().unwrap().contains(text)).collect()
    };
    assert_eq!(of("is not known").len(), 1, "{}", server.log());
    assert_eq!(of("this connection names no target").len(), 1, "another reason has its line");

    server.wait_for_log("\"repeated\":").await;
    let line = of("is not known").pop().unwrap();
    assert_eq!((&line["repeated"], &line["fault"]), (&39.into(), &"application".into()), "{line}");
    assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:") && line["id"].is_u64(), "{line}");
    assert_eq!(reported(server, "connection refused"), 41);

    // The window of the last line runs: the stop writes the rest.
    refused(server, &unknown).await;
    refused(server, &unknown).await;
    world.proxy_mut("server").stop().await;
    assert_eq!(reported(world.server(), "connection refused"), 43, "{}", world.server().log());
}

#[tokio::test]
async fn dropped_pending_connections_are_reported_without_a_further_event() {
    const SILENT: u64 = 300;
    let yaml = "proxy: {max_connections: 2}";
    let world = World::new().with_server(yaml).without_client().start().await;
    let server = world.server();
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(Raw::connect(server.port()).await);
    }
    let reported = || -> u64 {
        let all = lines(server, "dropped before the startup packet: too many pending connections");
        all.iter().map(|line| line["connections"].as_u64().unwrap()).sum()
    };
    let all = async {
        // 256 connections may be pending.
        while reported() < SILENT - 256 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let limit = Duration::from_secs(12);
    assert!(tokio::time::timeout(limit, all).await.is_ok(), "{} were reported", reported());
    drop(silent);
    world.stop().await;
}

#[tokio::test]
async fn many_refused_logins_of_one_peer_are_named_and_measured() {
    const MESSAGE: &str =
        "many logins of one peer were refused in the last 5 minutes: it guesses, or an application retries";
    let world = World::new().with_server(ADMIN).without_client().start().await;
    let server = world.server();
    server.wait_for_log("the list of targets changed").await;
    let gauge = |count: u32| format!("rds_auth_proxy_refused_logins_of_one_peer {count}");
    until_counted(server, &[&gauge(0)]).await;
    for number in 0..101 {
        if number == 99 {
            assert!(!server.log().contains(MESSAGE), "few refusals are no line");
        }
        refused(server, &[("user", "by_trust"), ("host", "localhost:1")]).await;
    }
    until_counted(server, &[&gauge(101)]).await;
    let lines = lines(server, MESSAGE);
    let [line] = lines.as_slice() else { panic!("one line: {lines:?}") };
    assert_eq!((&line["network"], &line["refused"]), (&"127.0.0.1".into(), &100.into()), "{line}");
    assert_eq!((&line["reason"], &line["user"]), (&"unknown_target".into(), &"by_trust".into()), "{line}");
    world.stop().await;
}

#[tokio::test]
async fn a_text_of_a_peer_is_cut_and_cannot_turn_the_writing_direction() {
    let text = format!("SFATAL\0C28000\0M\u{200e}\u{200f}\u{61c}no{}\0\0", "!".repeat(50_000));
    let fake = FakeDatabase::answering(message(b'E', text.as_bytes())).await;
    let user = format!("al\u{61c}ice{}", "x".repeat(8000));
    let world = World::new()
        .with_target("fake", &fake.target("disable"))
        .target("fake")
        .with_client_flag("--direct")
        .start()
        .await;
    let host = format!("localhost:{}", fake.port);
    refused(world.server(), &[("user", &user), ("host", &host)]).await;
    refused(world.client(), &[("user", &user)]).await;
    for proxy in [world.server(), world.client()] {
        proxy.wait_for_log("connection refused").await;
        let log = proxy.log();
        let line = log.lines().find(|line| line.contains("connection refused")).unwrap();
        assert!(line.contains("refused the login: \\u") && line.contains("no!!!"), "{line}");
        assert!(line.len() < 3000, "{} bytes: {line}", line.len());
        for mark in ['\u{200e}', '\u{200f}', '\u{61c}'] {
            assert!(!log.contains(mark), "{}", mark.escape_unicode());
        }
    }
    let line = lines(world.server(), "connection refused").pop().unwrap();
    let error = line["error"].as_str().unwrap();
    assert!(error.len() <= 1024 + '…'.len_utf8() && error.ends_with("!!…"), "{error}");
    assert!(line["user"].as_str().unwrap().starts_with("al\u{61c}ice"), "JSON keeps the text");
    world.stop().await;
}

#[tokio::test]
async fn an_application_that_retries_in_a_loop_does_not_hide_another_one() {
    let world = World::new().without_client().start().await;
    let server = world.server();
    let unreachable = |host: &'static str| [("user", "by_trust"), ("host", host)];
    for _ in 0..5 {
        refused(server, &unreachable("localhost:1")).await;
    }
    // Another loopback address is another peer.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.9:0".parse().unwrap()).unwrap();
    let stream = socket.connect(([127, 0, 0, 1], server.port()).into()).await.unwrap();
    let mut other = Raw::over(stream);
    other.send(&startup(V3_0, &unreachable("localhost:1"))).await;
    other.refused().await;
    let told = async {
        while !lines(server, "connection refused")
            .iter()
            .any(|line| line["peer"].as_str().unwrap().starts_with("127.0.0.9:"))
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), told).await.expect("the other peer has its line at once");
    world.stop().await;
}

/// A health check that requests TLS and hangs up; PostgreSQL logs nothing either.
#[tokio::test]
async fn a_peer_that_requests_tls_and_hangs_up_is_a_debug_line() {
    let world = World::new().with_server_tls().without_client().start().await;
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(SSL_REQUEST).await;
    assert_eq!(raw.byte().await, Some(b'S'));
    drop(raw);
    world.server().wait_for_log("hung up without a startup packet").await;
    assert!(lines(world.server(), "connection refused").is_empty(), "{}", world.server().log());
    world.stop().await;
}

/// PostgreSQL takes the user's name where the database's is empty.
#[tokio::test]
async fn an_empty_database_is_logged_as_the_users_name() {
    let world = World::new().without_client().start().await;
    world.server().wait_for_log("the list of targets changed").await;
    refused(world.server(), &[("user", "alice"), ("database", ""), ("host", "localhost:1")]).await;
    world.server().wait_for_log("connection refused").await;
    let line = lines(world.server(), "connection refused").pop().unwrap();
    assert_eq!(line["database"], "alice", "{line}");
    world.stop().await;
}

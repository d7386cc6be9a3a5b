//! `proxy.ssl.required`: an application in clear text gets an error, and its cancel requests reach no database.

use std::time::Duration;

use tokio::net::UnixStream;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::cancel::{request_cancel, sleeper, wait_for_queries};
use crate::support::builder::World;
use crate::support::raw::{Raw, V3_0, login, startup};
use crate::support::scratch;
use crate::support::world::refusal;

const REQUIRED: &str = "proxy: {ssl: {required: true}}";

const SENTENCE: &str = "this proxy requires TLS, and the application connected without TLS";

#[tokio::test]
async fn an_application_in_clear_text_reads_28000_and_one_with_tls_a_session() {
    let world = World::new().with_client_tls().with_client(REQUIRED).start().await;
    let psql = async |mode: &str| {
        let mut command = world.psql_command(world.client(), "alice");
        command.env("PGSSLMODE", mode).args(["-c", "select 'let in'"]).output().await.unwrap()
    };
    let plain = psql("disable").await;
    let error = String::from_utf8_lossy(&plain.stderr).into_owned();
    assert!(error.contains(&format!("FATAL:  rds-auth-proxy: {SENTENCE}")), "{error}");
    assert!(error.contains("HINT:  Connect with sslmode=verify-full or sslmode=require"), "{error}");
    assert_eq!(world.refusal("alice").await.code(), &SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    for mode in ["prefer", "require"] {
        let output = psql(mode).await;
        assert_eq!(String::from_utf8_lossy(&output.stdout), "let in\n", "{mode}: {output:?}");
    }
    assert_eq!(world.rds().logins().len(), 2);
    world.client().wait_for_log("connection refused").await;
    let log = world.client().log();
    let line = log.lines().find(|line| line.contains("connection refused")).unwrap();
    assert!(line.contains("user=\"alice\"") && line.contains("fault=\"application\""), "{line}");
    world.stop().await;
}

#[tokio::test]
async fn a_client_in_clear_text_is_refused_by_the_server() {
    let world = World::new()
        .with_server_tls()
        .with_server(REQUIRED)
        .with_client("upstream_proxies: {plain: {host: 'localhost:<server-port>', ssl: {mode: disable}}}")
        .start()
        .await;
    let plain = world.start_client(&["--proxy-target", "plain"]).await;
    let error = refusal(&plain, "alice").await;
    assert_eq!(error.code(), &SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert!(error.message().contains(SENTENCE), "{error}");
    assert!(error.hint().unwrap().contains("ssl.mode"), "{error:?}");
    assert_eq!(world.rds().connections(), 0);
    drop(world.client().config("alice").connect(NoTls).await.unwrap());
    world.stop().await;
}

#[tokio::test]
async fn a_cancel_request_in_clear_text_is_not_delivered() {
    let world = World::new()
        .with_server_tls()
        .with_server(REQUIRED)
        .with_client("upstream_proxies: {plain: {host: 'localhost:<server-port>', ssl: {mode: disable}}}")
        .start()
        .await;
    let (mut session, key) = sleeper(&world, world.client()).await;
    // Through a client in clear text, and as a packet with the contract's parameter.
    let plain = world.start_client(&["--proxy-target", "plain"]).await;
    request_cancel(&plain, &key).await;
    plain.wait_for_log(" refused a cancel request; its log has the reason").await;
    let mut raw = Raw::connect(world.server().port()).await;
    let number = |from: usize| u32::from_be_bytes(key[from..from + 4].try_into().unwrap());
    let parameter = format!("{}:{:08x}", number(0), number(4));
    let packet = [("host", world.rds().endpoint()), ("rds-auth-proxy.cancel", parameter)];
    let packet: Vec<_> = packet.iter().map(|(name, value)| (*name, value.as_str())).collect();
    raw.send(&startup(V3_0, &packet)).await;
    raw.refused().await.expect("28000", &[SENTENCE]);
    request_cancel(world.server(), &key).await;
    session.expect_silence(Duration::from_millis(300)).await;
    assert_eq!(world.rds().cancels(), 0);
    request_cancel(world.client(), &key).await;
    assert_eq!(session.message().await.unwrap().tag, b'T');
    session.message().await.unwrap().refusal().expect("57014", &[]);
    drop(session);
    world.stop().await;
}

/// A bare cancel request, at the listener of a client, whose target it needs not name.
#[tokio::test]
async fn a_bare_cancel_request_in_clear_text_is_not_delivered_by_a_client() {
    let world = World::new().with_client_tls().with_client(REQUIRED).start().await;
    let sql = "select pg_sleep(300) as required_tls";
    let mut psql = world.psql_command(world.client(), "alice");
    let mut psql = psql.env("PGSSLMODE", "require").args(["-c", sql]).spawn().unwrap();
    wait_for_queries(&world, sql, 1).await;
    request_cancel(world.client(), &[0, 0, 0, 1, 1, 2, 3, 4]).await;
    world.client().wait_for_log(SENTENCE).await;
    assert_eq!(world.rds().cancels(), 0);
    psql.kill().await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_unix_socket_is_exempt() {
    let socket = scratch::new_directory("socket").join("s");
    let listen = format!("proxy: {{listen_addr: 'unix:{}'}}", socket.display());
    let world = World::new().with_client_tls().with_client(REQUIRED).with_client(&listen).start().await;
    let mut raw = Raw::over(UnixStream::connect(&socket).await.unwrap());
    raw.send(&login("by_trust")).await;
    raw.until_ready().await;
    drop(raw);
    world.stop().await;
}

/// The default: TLS is an offer, as in the Go program.
#[tokio::test]
async fn without_the_key_an_application_in_clear_text_is_served() {
    let world = World::new().with_server_tls().with_client_tls().start().await;
    let (user, host) = ("by_trust", world.rds().endpoint());
    let direct = startup(V3_0, &[("user", user), ("database", "app"), ("host", &host)]);
    for (proxy, packet) in [(world.client(), login(user)), (world.server(), direct)] {
        let mut raw = Raw::connect(proxy.port()).await;
        raw.send(&packet).await;
        raw.until_ready().await;
    }
    world.stop().await;
}

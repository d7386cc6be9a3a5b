//! Cancel requests: each reaches its query, over every route between application and database.

use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::support::builder::World;
use crate::support::proxy::Proxy;
use crate::support::raw::{Message, Raw, V3_0, packet, query, startup};
use crate::support::roles::DATABASE;
use crate::support::scratch::unique;
use crate::support::world::Running;

const CANCELLED: &str = "canceling statement due to user request";

#[tokio::test]
async fn ctrl_c_in_psql_cancels_the_query() {
    let world = World::new().start().await;
    interrupt_psql(&world, &[]).await;
    assert_eq!(world.rds().cancels(), 1);
    world.stop().await;
}

#[tokio::test]
async fn ctrl_c_works_with_tls_on_every_link() {
    let world = World::new().with_server_tls().with_client_tls().start().await;
    interrupt_psql(&world, &[("PGSSLMODE", "require")]).await;
    world.stop().await;
}

#[tokio::test]
async fn ctrl_c_works_with_a_direct_client() {
    let world = World::new().without_server().with_client_flag("--direct").start().await;
    interrupt_psql(&world, &[]).await;
    world.stop().await;
}

#[tokio::test]
async fn a_driver_cancels_its_query_and_continues() {
    let world = World::new().start().await;
    let session = world.connect("alice").await.unwrap();
    let token = session.cancel_token();
    let cancel = async {
        wait_for_queries(&world, "select pg_sleep(301)", 1).await;
        token.cancel_query(NoTls).await.unwrap();
    };
    let (slept, ()) = tokio::join!(session.simple_query("select pg_sleep(301)"), cancel);
    assert_eq!(slept.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    session.simple_query("select 1").await.unwrap();
    drop(session);
    world.stop().await;
}

#[tokio::test]
async fn a_server_cancels_a_query_that_runs_through_another_server() {
    let world = World::new().with_second_server().start().await;
    let mut second = world.start_client(&["--proxy-target", "second"]).await;
    let (mut session, key) = sleeper(&world, world.client()).await;
    request_cancel(&second, &key).await;
    expect_cancelled(&mut session).await;
    world.proxy("server-2").wait_for_log("cancel request delivered").await;
    assert!(!world.proxy("server").log().contains("cancel request delivered"));
    drop(session);
    second.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn another_client_process_can_cancel_a_query() {
    let world = World::new().start().await;
    let (mut session, key) = sleeper(&world, world.client()).await;
    let mut another = world.start_client(&[]).await;
    request_cancel(&another, &key).await;
    expect_cancelled(&mut session).await;
    drop(session);
    another.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_cancel_request_with_a_wrong_key_has_no_effect() {
    let world = World::new().start().await;
    let (mut session, mut key) = sleeper(&world, world.client()).await;
    *key.last_mut().unwrap() ^= 1;
    request_cancel(world.client(), &key).await;
    session.expect_silence(Duration::from_millis(300)).await;
    drop(session);
    world.stop().await;
}

#[tokio::test]
async fn the_server_drops_a_cancel_request_without_a_target() {
    let world = World::new().start().await;
    request_cancel(world.server(), &[0, 0, 0, 1, 1, 2, 3, 4]).await;
    world.psql("alice", "select 1").await.unwrap();
    assert_eq!(world.rds().cancels(), 0);
    world.stop().await;
}

#[tokio::test]
async fn the_server_refuses_a_cancel_request_for_a_blocked_target() {
    let acl = "proxy: {target_acl: {allowed_rds_tags: [{name: proxy, value: 'yes'}]}}";
    let world = World::new().with_server(acl).without_client().start().await;
    let endpoint = world.rds().endpoint();
    for key in ["7:01020304", "7:0102", "x", "", "99999999999:01020304", "7:0102030x"] {
        let mut raw = Raw::connect(world.server().port()).await;
        raw.send(&startup(V3_0, &[("host", &endpoint), ("rds-auth-proxy.cancel", key)])).await;
        let refusal = raw.refused().await;
        assert!(["28000", "3D000"].contains(&refusal.sqlstate()), "{refusal:?}");
    }
    assert_eq!(world.rds().connections(), 0);
    world.stop().await;
}

#[tokio::test]
async fn the_client_does_not_log_a_refused_cancel_request_as_delivered() {
    let acl = "proxy: {target_acl: {allowed_rds_tags: [{name: proxy, value: 'yes'}]}}";
    let world = World::new().with_server(acl).start().await;
    request_cancel(world.client(), &[0, 0, 0, 1, 1, 2, 3, 4]).await;
    world.client().wait_for_log(" refused a cancel request; its log has the reason").await;
    assert!(!world.client().log().contains("cancel request delivered"));
    world.stop().await;
}

/// Runs a long query in psql, sends SIGINT and expects the query to end at once.
async fn interrupt_psql(world: &Running, environment: &[(&str, &str)]) {
    let sql = format!("select pg_sleep(300) as {}", unique("ctrl_c"));
    let mut command = world.psql_command(world.client(), "alice");
    command.args(["-c", &sql]).envs(environment.iter().copied());
    let psql = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_queries(world, &sql, 1).await;
    let pid = Pid::from_raw(i32::try_from(psql.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    let ended = tokio::time::timeout(Duration::from_mins(1), psql.wait_with_output()).await;
    let Output { stderr, .. } = ended.expect("psql still waits").unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert!(stderr.contains(CANCELLED), "{stderr}");
    wait_for_queries(world, &sql, 0).await;
}

/// A session in the middle of a long query, and the process id and key that cancel it.
pub(crate) async fn sleeper(world: &Running, proxy: &Proxy) -> (Raw, Vec<u8>) {
    sleeper_at(world, proxy.port(), DATABASE).await
}

/// The same at this port, in this database.
pub(crate) async fn sleeper_at(world: &Running, port: u16, database: &str) -> (Raw, Vec<u8>) {
    let parameters = [("user", "alice"), ("database", database)];
    let (mut session, messages) = Raw::log_in(port, &parameters).await.expect("the login fails");
    let key = messages.iter().find(|message| message.tag == b'K').map(|Message { body, .. }| body.clone());
    let sql = format!("select pg_sleep(300) as {}", unique("sleeper"));
    session.send(&query(&sql)).await;
    wait_for_queries(world, &sql, 1).await;
    (session, key.expect("no BackendKeyData came"))
}

pub(crate) async fn expect_cancelled(session: &mut Raw) {
    assert_eq!(session.message().await.unwrap().tag, b'T');
    session.message().await.unwrap().refusal().expect("57014", &[CANCELLED]);
}

/// Sends a cancel request and expects the connection to close without an answer.
pub(crate) async fn request_cancel(proxy: &Proxy, key: &[u8]) {
    request_cancel_at(proxy.port(), key).await;
}

/// The same at this port.
pub(crate) async fn request_cancel_at(port: u16, key: &[u8]) {
    let mut raw = Raw::connect(port).await;
    raw.send(&packet(&[&[4, 210, 22, 46], key].concat())).await;
    assert_eq!(raw.byte().await, None);
}

/// Waits until `count` sessions run exactly this query.
pub(crate) async fn wait_for_queries(world: &Running, sql: &str, count: usize) {
    let text = sql.replace('\'', "''");
    let running =
        format!("select count(*) from pg_stat_activity where state = 'active' and query = '{text}'");
    for _ in 0..600 {
        if world.postgres.value(&running).await == Some(count.to_string()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {count} sessions run {sql}");
}

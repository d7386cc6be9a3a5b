//! Databases that are paused, and hops that are down: what an application waits for, and which SQLSTATE it reads.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::process::Command;

use crate::support::builder::World;
use crate::support::fake_database::FakeDatabase;
use crate::support::ports::free_port;
use crate::support::postgres::Postgres;
use crate::support::raw::{Raw, login};
use crate::support::relay::{Direction, Disruption, NetworkProfile, Relay};
use crate::support::world::Running;

/// The real PostgreSQL as a static target.
const FIXED: &str = "{host: <postgres>, database: app, ssl: {mode: verify-full, root_certificate: <ca>}}";

/// Longer than `handshake_timeout`: an Aurora database that resumes.
const RESUMES: Duration = Duration::from_secs(18);

/// A static target behind a relay that answers nothing for a while after this many bytes.
async fn paused(mode: &str, after: u64) -> (Running, Relay) {
    let relay = Relay::start().await;
    let target = format!("{{host: 'localhost:{}', ssl: {{mode: {mode}}}}}", relay.port);
    let world = World::new().with_target("paused", &target).target("paused").without_client().start().await;
    relay.set_target(world.postgres.port);
    let pause = Disruption::Pause(RESUMES);
    relay.apply(NetworkProfile::default().with(Direction::ToApplication, after, pause));
    (world, relay)
}

/// libpq alone waits for as long as the database needs.
#[tokio::test]
async fn a_login_waits_for_a_paused_database() {
    // The database is silent before it answers the SSLRequest, before its certificate, and before the login.
    let [before_tls, in_tls, in_login] =
        [("require", 0), ("require", 1), ("disable", 0)].map(|(mode, after)| async move {
            let (world, _relay) = paused(mode, after).await;
            let password = world.postgres.password("by_scram");
            let client = world.start_client(&["--password", &password]).await;
            let began = Instant::now();
            let user = world.psql_command(&client, "by_scram").args(["-c", "select current_user"]).output();
            let output = user.await.unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("by_scram"), "{mode} after {after}: {output:?}");
            assert!(began.elapsed() >= RESUMES, "{mode} after {after}");
            world.stop().await;
        });
    tokio::join!(before_tls, in_tls, in_login);
}

/// `pg_isready` and the list of hosts in a connection string are libpq's (manual, page of the program and "Specifying Multiple
/// Hosts"): both read the SQLSTATE.
#[tokio::test]
async fn libpq_takes_a_hop_that_is_down_for_a_server_that_does_not_accept_connections() {
    let down = format!("{{host: 'localhost:{}', ssl: {{mode: disable}}}}", free_port());
    let world = World::new().with_target("down", &down).without_client().start().await;
    let database_down = world.start_client(&["--target", "down"]).await;
    let mut works = world.start_client(&["--target", "db-1"]).await;
    let isready = |port: u16| async move {
        let mut command = Command::new("pg_isready");
        command.args(["-h", "127.0.0.1", "-U", "alice", "-d", "app", "-p", &port.to_string()]);
        command.output().await.unwrap().status.code()
    };
    assert_eq!(isready(database_down.port()).await, Some(1), "the database is down");
    let mut command = world.psql_command(&works, "alice");
    let conninfo = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user=alice dbname=app",
        database_down.port(),
        works.port()
    );
    let output = command.args(["-d", &conninfo, "-Atc", "select 'next'"]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("next"), "{output:?}");
    works.stop().await;
    world.stop().await;

    let alone = World::new().without_server().start().await;
    assert_eq!(isready(alone.client().port()).await, Some(1), "the server is down");
    alone.stop().await;
}

/// The postmaster reports that it cannot start a process in the format of PostgreSQL before 7.4
/// (`report_fork_failure_to_client` in postmaster.c). libpq prints the text.
#[tokio::test]
async fn a_database_that_cannot_start_a_process_is_quoted() {
    let text = "could not fork new process for connection: Cannot allocate memory";
    let fake = FakeDatabase::closing_after(format!("E{text}\n\0").into_bytes()).await;
    let world = World::new().with_target("full", &fake.target("disable")).target("full").start().await;
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("alice")).await;
    let refusal = raw.refused().await;
    assert_eq!((refusal.sqlstate(), refusal.message()), ("57P03", text));
    world.stop().await;
}

/// psql alone reads it at once too.
#[tokio::test]
async fn the_databases_end_of_a_login_passes_while_a_person_types_the_password() {
    let postgres = Postgres::start_with(&["authentication_timeout=2s"]).await;
    let world = World::new().with_postgres(postgres).with_target("fixed", FIXED).target("fixed");
    let world = world.start().await;
    let began = Instant::now();
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("by_scram")).await;
    assert_eq!(raw.message().await.unwrap().tag, b'R');
    // PostgreSQL sends no reason.
    raw.refused().await.expect("57P03", &["the database fixed at", "hung up during the login"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    world.stop().await;
}

/// PostgreSQL logs a connection that ends without Terminate as lost.
#[tokio::test]
async fn a_session_that_the_proxy_ends_leaves_no_lost_connection_in_the_databases_log() {
    let world = |limit: &str| {
        let world = World::new().with_own_postgres().with_target("fixed", FIXED).target("fixed");
        world.with_server(&format!("proxy: {{{limit}: 1s}}")).start()
    };
    let idling = world("idle_timeout").await;
    let mut idle = Raw::session(idling.client().port(), "by_trust").await;
    idle.refused().await.expect("57P05", &["idle_timeout"]);
    let idled = idling.postgres.clone();
    idling.stop().await;

    let mut draining = world("drain_timeout").await;
    let mut session = Raw::session(draining.client().port(), "by_trust").await;
    draining.server().signal(Signal::TERM);
    session.refused().await.expect("57P01", &["shutting down"]);
    draining.proxy_mut("server").wait().await;
    let ended = draining.postgres.clone();

    for postgres in [idled, ended] {
        let log = postgres.log();
        for lost in ["reset by peer", "unexpected EOF", "could not receive data"] {
            assert!(!log.contains(lost), "{log}");
        }
    }
}

//! Databases that are paused, and hops that are down: what an application waits for, and which SQLSTATE it reads.

use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::support::builder::World;
use crate::support::ports::free_port;
use crate::support::relay::{Direction, Disruption, NetworkProfile, Relay};
use crate::support::world::Running;

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

//! What a client adds to a login: the guard rails of the RDS tags, and the name of the AWS session.

use std::time::Duration;

use tokio_postgres::NoTls;

use crate::support::builder::World;
use crate::support::instance::{Cluster, Instance};
use crate::support::proxy::Proxy;
use crate::support::runtime;
use crate::support::world::Running;

const READ_ONLY: &str = "rds-auth-proxy:read-only";
const STATEMENT_TIMEOUT: &str = "rds-auth-proxy:statement-timeout";
const NOTICE: &str = "rds-auth-proxy:notice";

const SETTINGS: &str = "show default_transaction_read_only; show statement_timeout";

/// Both ways to a database: through a server, and `--direct`.
const MODES: [&[&str]; 2] = [&[], &["--direct"]];

fn guarded(name: &str) -> Instance {
    Instance::new(name).tag(READ_ONLY, "true").tag(STATEMENT_TIMEOUT, "1m 30s").tag(NOTICE, "PRODUCTION")
}

/// Standard output and standard error of psql.
async fn psql(world: &Running, client: &Proxy, options: &str, sql: &str) -> (String, String) {
    let mut psql = world.psql_command(client, "alice");
    let output = psql.env("PGOPTIONS", options).args(["-c", sql]).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

async fn start_client(world: &Running, target: &str, mode: &[&str]) -> Proxy {
    world.start_client(&[&["--target", target], mode].concat()).await
}

#[tokio::test]
async fn tags_set_what_a_session_begins_with() {
    let world = World::new()
        .with_instance(guarded("db-1"))
        .with_client("targets: {mine: {host: '<db-1>'}}")
        .without_client()
        .start()
        .await;
    let notice = "NOTICE:  rds-auth-proxy: PRODUCTION";
    for mode in MODES {
        for target in ["db-1", "mine"] {
            let client = start_client(&world, target, mode).await;
            let (settings, shown) = psql(&world, &client, "", SETTINGS).await;
            assert_eq!((settings.as_str(), shown.as_str()), ("on\n90s", notice), "{target} {mode:?}");

            let (_, error) = psql(&world, &client, "", "create table guarded ()").await;
            let refused = "cannot execute CREATE TABLE in a read-only transaction";
            assert!(error.starts_with(notice) && error.contains(refused), "{error}");
            let (_, error) = psql(&world, &client, "-c statement_timeout=20", "select pg_sleep(60)").await;
            assert!(error.contains("due to statement timeout"), "{error}");
        }
    }
    // Nothing happens twice where both halves run.
    for login in world.rds().logins() {
        let of = |name: &str| login.parameters.iter().filter(|(known, _)| known == name).count();
        assert_eq!(of("default_transaction_read_only"), 1, "{:?}", login.parameters);
        assert!(of("statement_timeout") <= 1, "{:?}", login.parameters);
    }
    world.stop().await;
}

#[tokio::test]
async fn the_application_overrides_the_tags() {
    let world = World::new().with_instance(guarded("db-1")).without_client().start().await;
    for mode in MODES {
        let client = start_client(&world, "db-1", mode).await;
        let options = "-c default_transaction_read_only=off --statement-timeout=5s";
        assert_eq!(psql(&world, &client, options, SETTINGS).await.0, "off\n5s", "{mode:?}");
        let set = format!("set default_transaction_read_only = off; {SETTINGS}");
        assert_eq!(psql(&world, &client, "", &set).await.0, "SET\noff\n90s", "{mode:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_database_without_tags_gets_nothing() {
    let world = World::new().with_instance("db-1").without_client().start().await;
    for mode in MODES {
        let client = start_client(&world, "db-1", mode).await;
        assert_eq!(
            psql(&world, &client, "", SETTINGS).await,
            ("off\n0".to_owned(), String::new()),
            "{mode:?}"
        );
        let login = world.rds().logins().pop().unwrap();
        let names: Vec<_> = login.parameters.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["user", "database", "application_name"], "{mode:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_endpoints_of_a_cluster_have_its_guard_rails() {
    let cluster = Cluster::new("aurora")
        .tag_of_cluster(STATEMENT_TIMEOUT, "2s")
        .tag_of_cluster(NOTICE, "writes go to production")
        .tag_of_instance(READ_ONLY, "true");
    let world = World::new().with_cluster(cluster).without_client().start().await;
    for (target, expected) in
        [("aurora:writer", "off\n2s"), ("aurora:reader", "off\n2s"), ("aurora-instance-1", "on\n0")]
    {
        let client = start_client(&world, target, &[]).await;
        let (settings, shown) = psql(&world, &client, "", SETTINGS).await;
        assert_eq!(settings, expected, "{target}");
        let notice = "NOTICE:  rds-auth-proxy: writes go to production";
        assert_eq!(shown, if expected == "on\n0" { "" } else { notice }, "{target}");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_unreadable_tag_costs_a_warning() {
    let instance =
        Instance::new("db-1").tag(READ_ONLY, "yes").tag(STATEMENT_TIMEOUT, "30").tag(NOTICE, "STAGING");
    let world = World::new().with_instance(instance).start().await;
    let (settings, shown) = psql(&world, world.client(), "", SETTINGS).await;
    assert_eq!((settings.as_str(), shown.as_str()), ("off\n0", "NOTICE:  rds-auth-proxy: STAGING"));
    world.client().wait_for_log("a tag of an RDS database is ignored").await;
    let log = world.client().log();
    let lines: Vec<_> =
        log.lines().filter(|line| line.contains("a tag of an RDS database is ignored")).collect();
    let [line] = lines[..] else { panic!("{lines:?}") };
    for part in [
        "name=db-1",
        "rds-auth-proxy:read-only is \"yes\", which is neither true nor false",
        "rds-auth-proxy:statement-timeout is \"30\", which is not a duration between 1ms and 24 days",
    ] {
        assert!(line.replace('\\', "").contains(part), "{line}");
    }
    world.stop().await;
}

/// The application name of a session whose application sets this one.
async fn application_name(client: &Proxy, set: Option<&str>) -> String {
    let mut config = client.config("alice");
    if let Some(set) = set {
        config.application_name(set);
    }
    let (session, connection) = config.connect(NoTls).await.unwrap();
    runtime::spawn(connection);
    let sql = "select application_name from pg_stat_activity where pid = pg_backend_pid()";
    session.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_session_without_a_name_gets_that_of_the_aws_session() {
    for (world, expected) in [(World::new(), "tester"), (World::new().with_session_credentials(), "session")]
    {
        let world = world.without_client().start().await;
        for mode in MODES {
            let client = start_client(&world, "db-1", mode).await;
            // No connection waits for the answer of STS.
            let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
            while application_name(&client, None).await.is_empty() {
                assert!(tokio::time::Instant::now() < deadline, "{mode:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(application_name(&client, None).await, expected, "{mode:?}");
            assert_eq!(application_name(&client, Some("")).await, expected, "{mode:?}");
            assert_eq!(application_name(&client, Some("ledger")).await, "ledger", "{mode:?}");
            let options = "-c application_name=report";
            let (session, connection) = client.config("alice").options(options).connect(NoTls).await.unwrap();
            runtime::spawn(connection);
            let name: String = session.query_one("show application_name", &[]).await.unwrap().get(0);
            assert_eq!(name, "report", "{mode:?}");
        }
        world.stop().await;
    }
}

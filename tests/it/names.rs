//! Names of targets and upstream proxies.
//!
//! The oracle is the Go program. It lower-cases the names in the file (viper), so `Orders` in the file is `orders` at
//! `--target`. Its client looks in `targets` first, then in RDS, and lists both (`pkg/discovery/combined`), so a database has
//! its own name and those of `targets`.

use std::time::Duration;

use tokio_postgres::NoTls;

use crate::support::builder::World;
use crate::support::proxy::Proxy;
use crate::support::world::Running;

async fn logs_in(client: &Proxy) {
    drop(client.config("alice").connect(NoTls).await.unwrap());
}

/// Starts a client for this target, logs in, and returns the database in the printed `psql` command.
async fn suggested_by(world: &Running, flags: &[&str]) -> String {
    let client = world.start_client(flags).await;
    logs_in(&client).await;
    let command = |text: &str| {
        let (_, rest) = text.split_once(" -d ")?;
        Some(rest.split_once(" -U ")?.0.to_owned())
    };
    client.stdout.wait_for(Duration::from_secs(30), command).await.unwrap()
}

#[tokio::test]
async fn targets_and_upstream_proxies_are_found_in_any_case() {
    let world = World::new()
        .with_instance("orders-db")
        .with_target("Mixed", "{host: <orders-db>, database: mixed}")
        .with_client("upstream_proxies: {default: null, Main: {host: 'localhost:<server-port>', ssl: {mode: disable}}}")
        .without_client()
        .start()
        .await;
    for (target, upstream, database) in
        [("ORDERS-DB", "main", "app"), ("mixed", "MAIN", "mixed"), ("Mixed", "Main", "mixed")]
    {
        assert_eq!(suggested_by(&world, &["--target", target, "--proxy-target", upstream]).await, database);
    }
    world.stop().await;
}

#[tokio::test]
async fn an_upstream_proxy_called_default_needs_no_name_in_any_case() {
    let upstream = "{host: 'localhost:<server-port>', ssl: {mode: disable}}";
    let world = World::new()
        .with_client(&format!("upstream_proxies: {{default: null, Default: {upstream}, other: {upstream}}}"))
        .start()
        .await;
    logs_in(world.client()).await;
    world.stop().await;
}

#[tokio::test]
async fn names_that_differ_only_in_case_need_the_exact_one() {
    let world = World::new()
        .with_instance("db-1")
        .with_client(
            "targets: {Fixed: {host: <db-1>, database: upper}, fixed: {host: <db-1>, database: lower}}",
        )
        .with_client("upstream_proxies: {DEFAULT: {host: 'localhost:1'}}")
        .without_client()
        .start()
        .await;
    for (flags, names) in [
        (
            ["--target", "FIXED"],
            ["the target \"FIXED\" is not unique", "\"Fixed\" and \"fixed\" differ only in case"],
        ),
        (
            ["--proxy-target", "Default"],
            [
                "the upstream proxy \"Default\" is not unique",
                "\"DEFAULT\" and \"default\" differ only in case",
            ],
        ),
    ] {
        let ended = world.client_launch(&flags).run().await;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        for name in names {
            assert!(ended.stderr.contains(name), "{}", ended.stderr);
        }
    }
    for (name, database) in [("Fixed", "upper"), ("fixed", "lower")] {
        let flags = ["--target", name, "--proxy-target", "default"];
        assert_eq!(suggested_by(&world, &flags).await, database);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_database_has_its_own_name_and_those_of_the_configuration() {
    let world = World::new()
        .with_instance("db-1")
        .with_target("reports", "{host: <db-1>, database: reports}")
        .with_target(
            "audit",
            "{host: <db-1>, database: audit, ssl: {mode: verify-ca, root_certificate: <ca>}}",
        )
        .without_client()
        .start()
        .await;
    for mode in [&[][..], &["--direct"]] {
        for (name, database) in [("db-1", "app"), ("reports", "reports"), ("audit", "audit")] {
            assert_eq!(suggested_by(&world, &[mode, &["--target", name]].concat()).await, database);
        }
    }
    let logins = world.rds().logins();
    assert!(logins.len() == 6 && logins.iter().all(|login| login.refusal.is_none()), "{logins:?}");
    // The server knows an address only, and takes the first of its names.
    world.server().wait_for_log(r#""target":"audit""#).await;
    let log = world.server().log();
    assert!(!log.contains(r#""target":"db-1""#) && !log.contains(r#""target":"reports""#), "{log}");
    let ended = world.client_launch(&["--target", "nothing"]).run().await;
    for name in ["\n  audit ", "\n  db-1 ", "\n  reports "] {
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_name_of_the_configuration_comes_before_that_of_rds() {
    let world = World::new()
        .with_instance("db-1")
        .with_instance("db-2")
        .with_target("db-1", "{host: <db-2>}")
        .start()
        .await;
    logs_in(world.client()).await;
    assert_eq!((world.database("db-1").logins().len(), world.database("db-2").logins().len()), (0, 1));
    world.stop().await;
}

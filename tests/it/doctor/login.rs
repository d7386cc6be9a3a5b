use serde_json::Value;

use super::{check, checks, expect, launch};
use crate::support::builder::World;
use crate::support::certificates::{Authority, Validity};
use crate::support::identity::AccessKey;
use crate::support::instance::Instance;
use crate::support::output::{Output, Secrets};
use crate::support::world::Running;

const SESSION: [&str; 4] = ["login", "rds_iam", "query", "round_trip"];

async fn login(world: &Running, arguments: &[&str]) -> Vec<Value> {
    checks(launch(world, &[&["--user", "alice"], arguments].concat())).await
}

fn expect_skipped(checks: &[Value], names: &[&str], needed: &str) {
    for name in names {
        expect(checks, name, "skipped", &format!("it needs the check {needed}"), "");
    }
}

fn expect_session(checks: &[Value]) {
    expect(checks, "login", "ok", "alice is logged in", "");
    expect(checks, "rds_iam", "ok", "alice is a member of rds_iam", "");
    expect(checks, "query", "ok", "app of PostgreSQL ", "");
    expect(checks, "round_trip", "ok", "the median of 5", "");
}

#[tokio::test]
async fn an_open_way_ends_with_a_query() {
    let auth_only = "upstream_proxies: {auth-only: {host: 'localhost:<server-port>', aws_auth_only: true, ssl: {mode: disable}}}";
    let world = World::new().with_client(auth_only).with_session_credentials().without_client().start().await;
    for arguments in [&[][..], &["--proxy-target", "auth-only"], &["--direct"]] {
        let found = login(&world, arguments).await;
        expect_session(&found);
        expect(&found, "database", "ok", "", "");
        assert!(found.iter().all(|check| check["status"] == "ok"), "{found:#?}");
    }
    let direct = login(&world, &["--direct"]).await;
    expect(
        &direct,
        "database_tls",
        "ok",
        "verified with the mode verify-full; the certificate for localhost by",
        "",
    );
    assert_eq!(world.rds().tokens().len(), 4);

    let without_user = checks(launch(&world, &[])).await;
    expect(&without_user, "database", "skipped", "name the database user with --user", "");
    let without_user = checks(launch(&world, &["--direct"])).await;
    expect(&without_user, "database_tls", "ok", "", "");
    expect(&without_user, "login", "skipped", "name the database user with --user", "");
    world.stop().await;
}

#[tokio::test]
async fn no_secret_is_printed() {
    let world = World::new().with_session_credentials().without_client().start().await;
    let ended = launch(&world, &["--user", "alice"]).env("LOG_LEVEL", "trace").run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("DEBUG"), "{}", ended.stderr);
    let mut secrets = Secrets::default();
    world.rds().tokens().iter().for_each(|token| secrets.add_token(token));
    secrets.add("secret access key", &world.key.secret);
    secrets.add("session token", world.key.session_token.as_ref().unwrap());
    for text in [ended.stdout, ended.stderr] {
        let output = Output::collect("doctor".into(), std::io::Cursor::new(text.into_bytes()));
        output.wait_for_end(std::time::Duration::from_secs(5));
        assert_eq!(secrets.leaks(&output), []);
    }
    world.stop().await;
}

/// The text and the HINT are those of an application.
#[tokio::test]
async fn a_refused_login_has_the_hint_of_an_application() {
    let key = AccessKey { may_connect: false, ..AccessKey::long_lived() };
    let world = World::new().with_key(key).start().await;
    // The client looks the ARN of its identity up beside its first connections.
    let refusal = loop {
        let refusal = world.refusal("alice").await;
        if refusal.hint().unwrap().contains("arn:aws:iam::") {
            break refusal;
        }
    };
    for arguments in [&[][..], &["--direct"]] {
        let found = login(&world, arguments).await;
        let failed = check(&found, "login");
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["detail"], refusal.message());
        let remedy = failed["remedy"].as_str().unwrap();
        assert!(
            remedy.contains("GRANT rds_iam TO \"alice\"") && remedy.contains("rds-db:connect"),
            "{remedy}"
        );
        assert_eq!(remedy, refusal.hint().unwrap());
        expect(&found, "database", "ok", "", "");
        expect_skipped(&found, &SESSION[1..], "login");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_from_one_that_refuses() {
    let foreign = Authority::foreign().issue(&["127.0.0.5"], Validity::Now);
    let world = World::new()
        .with_instance("db-1")
        .with_instance(Instance::new("foreign").at("127.0.0.5").certificate(foreign))
        .with_instance(Instance::new("blocked").tag("team", "other"))
        .with_server("proxy: {target_acl: {blocked_rds_tags: [{name: team, value: other}]}}")
        .without_client()
        .start()
        .await;
    for arguments in [&["--target", "foreign"][..], &["--target", "foreign", "--direct"]] {
        let found = login(&world, arguments).await;
        expect(&found, "database", "ok", "", "");
        expect(&found, "database_tls", "failed", "is not trusted: its issuer is", "");
        expect_skipped(&found, &SESSION, "database_tls");
    }
    let found = login(&world, &["--target", "blocked"]).await;
    expect(&found, "database", "failed", "is not allowed by the target_acl of this proxy", "");
    expect_skipped(&found, &["database_tls"], "database");
    world.database("db-1").shut_down().await;
    for arguments in [&["--target", "db-1"][..], &["--target", "db-1", "--direct"]] {
        let found = login(&world, arguments).await;
        expect(&found, "database", "failed", "the database db-1 at localhost:", "");
        expect_skipped(&found, &SESSION, "database");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_password_is_neither_asked_for_nor_a_token_sent_to_another_program() {
    let world = World::new()
        .with_target("fixed", "{host: <postgres>, database: app, ssl: {mode: disable}}")
        .with_client("upstream_proxies: {database: {host: <postgres>, ssl: {mode: disable}}}")
        .without_client()
        .start()
        .await;
    let found = checks(launch(&world, &["--target", "fixed", "--user", "by_password"])).await;
    expect(&found, "login", "skipped", "the database requests a password", "");
    expect_skipped(&found, &SESSION[1..], "login");
    let found = login(&world, &["--target", "db-1", "--proxy-target", "database"]).await;
    expect_skipped(&found, &["database", "database_tls"], "upstream_program");
    expect_skipped(&found, &SESSION, "upstream_program");
    world.stop().await;
}

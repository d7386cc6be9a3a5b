//! `doctor`: every step to a database, with its verdict.

use std::time::Duration;

use serde_json::Value;

use crate::schema;
use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::identity::AccessKey;
use crate::support::instance::Instance;
use crate::support::proxy::{Finished, Launch};
use crate::support::terminal::Terminal;
use crate::support::world::Running;

/// The login, and what the session shows.
mod login;
/// The simulation of IAM policies.
mod policy;
/// The upstream proxy: its cluster, its TLS, its program.
mod upstream;

/// The launch of `doctor` with the configuration of the world's client, and with no log.
fn launch(world: &Running, arguments: &[&str]) -> Launch {
    let launch = Launch::mode("doctor", "doctor", &world.directory.join("client.yaml"));
    world.launch(launch.with(arguments), &world.key).env("LOG_LEVEL", "")
}

/// The checks of a run, which match the schema. The exit code is 0 if and only if none failed.
async fn checks(launch: Launch) -> Vec<Value> {
    let ended = launch.with(&["--output", "json"]).run().await;
    let document: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    schema::check("doctor", &document);
    let checks = document["checks"].as_array().unwrap().clone();
    let failed = checks.iter().any(|check| check["status"] == "failed");
    assert_eq!(ended.code, Some(i32::from(failed)), "{ended:?}");
    checks
}

fn check<'a>(checks: &'a [Value], name: &str) -> &'a Value {
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("there is no check {name}: {checks:#?}"))
}

/// Expects this status, and these parts of detail and remedy.
fn expect(checks: &[Value], name: &str, status: &str, detail: &str, remedy: &str) {
    let check = check(checks, name);
    let text = |key: &str| check[key].as_str().unwrap_or_default();
    assert!(
        text("status") == status && text("detail").contains(detail) && text("remedy").contains(remedy),
        "{check:#}"
    );
}

fn world() -> World {
    World::new().with_instance("orders-db").with_instance(Instance::new("people-db")).without_client()
}

#[tokio::test]
async fn a_way_that_is_open_is_ok_up_to_the_target() {
    let key = AccessKey::session(Duration::from_hours(1));
    let world = world().with_key(key.clone()).start().await;
    let found = checks(launch(&world, &["--target", "Orders-DB"])).await;
    for name in ["configuration", "identity", "clock", "discovery", "target", "iam"] {
        expect(&found, name, "ok", "", "");
    }
    expect(&found, "configuration", "ok", "client.yaml", "");
    expect(&found, "identity", "ok", "arn:aws:", "");
    expect(&found, "discovery", "ok", "2 with IAM", "");
    expect(&found, "target", "ok", &world.rds().endpoint(), "");
    let unnamed = checks(launch(&world, &[])).await;
    expect(&unnamed, "target", "skipped", "there are 2 targets; name one with --target", "");
    expect(&unnamed, "iam", "skipped", "it needs the check target", "");
    world.stop().await;
}

#[tokio::test]
async fn a_failure_hides_nothing_that_does_not_need_it() {
    let world = world().with_target("fixed", "{host: 'postgres.example:5432'}").start().await;
    world.aws.set_clock_ahead(Duration::from_mins(12));
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("DescribeDBInstances"));
    let found = checks(launch(&world, &["--target", "fixed"])).await;
    expect(&found, "identity", "ok", "the environment", "");
    expect(&found, "clock", "failed", "minutes behind that of AWS", "set the clock of this machine");
    expect(&found, "discovery", "failed", "rds:DescribeDBInstances", "in its IAM policy");
    expect(&found, "target", "ok", "postgres.example:5432", "");
    expect(&found, "iam", "warning", "needs a password", "targets.fixed.rds");
    let found = checks(launch(&world, &["--target", "orders-db"])).await;
    expect(&found, "target", "failed", "may be out of date", "");

    let unknown = AccessKey::long_lived();
    let mut launch = world.launch(launch(&world, &[]), &unknown);
    launch.environment.push(("AWS_ACCESS_KEY_ID".into(), unknown.id.clone()));
    let found = checks(launch).await;
    expect(&found, "identity", "warning", "did not return its identity", "discovery");
    world.stop().await;
}

#[tokio::test]
async fn without_credentials_the_rest_is_examined() {
    let world = world().with_target("fixed", "{host: 'postgres.example:5432'}").start().await;
    let mut launch = launch(&world, &[]);
    launch.environment.retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SE"));
    let found = checks(launch).await;
    expect(&found, "identity", "failed", "no AWS credentials were found", "log in");
    expect(&found, "clock", "skipped", "it needs the check identity", "");
    expect(&found, "discovery", "skipped", "it needs the check identity", "");
    expect(&found, "target", "ok", "fixed at postgres.example:5432", "");
    world.stop().await;
}

#[tokio::test]
async fn a_target_that_is_none_has_the_reason() {
    let world = world()
        .with_instance(Instance::new("old-db").without_iam())
        .with_instance(Instance::new("secret-db").tag("hidden", "yes"))
        .with_client("proxy: {target_acl: {blocked_rds_tags: [{name: hidden, value: 'yes'}]}}")
        .start()
        .await;
    for (target, detail, remedy) in [
        ("old-db", "RDS has it in us-east-1: IAM database authentication is off", ""),
        ("secret-db", "its RDS tag hidden=yes is in blocked_rds_tags", ""),
        ("odrers-db", "no target is called \"odrers-db\"", "did you mean orders-db"),
    ] {
        let found = checks(launch(&world, &["--target", target])).await;
        expect(&found, "target", "failed", detail, remedy);
        expect(&found, "discovery", "ok", "target_acl hides secret-db", "");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_the_first_failure() {
    let world = world().start().await;
    let path = world.directory.join("client.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text + "rds_: {}\n").unwrap();
    let found = checks(launch(&world, &[])).await;
    expect(&found, "configuration", "failed", "client.yaml", "");
    assert!(found.iter().skip(1).all(|check| check["status"] == "skipped"), "{found:#?}");

    let mut without_file = world.launch(Launch::new("doctor", &["doctor"]), &world.key).env("LOG_LEVEL", "");
    let found = checks(without_file.clone()).await;
    expect(&found, "configuration", "failed", "no configuration file was found", "--direct");
    expect(&found, "identity", "ok", "", "");
    without_file.arguments.push("--direct".into());
    expect(&checks(without_file).await, "configuration", "ok", "the defaults apply", "");
    world.stop().await;
}

#[tokio::test]
async fn the_text_has_a_line_for_each_check() {
    let world = world().start().await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("DescribeDBInstances"));
    let Finished { code, stdout, stderr } = launch(&world, &[]).run().await;
    assert_eq!((code, stderr.as_str()), (Some(1), "error: the check discovery failed\n"));
    let failed = stdout.lines().find(|line| line.starts_with("failed ")).unwrap();
    assert!(failed.contains(" ms  discovery         the RDS databases of "), "{stdout}");
    assert!(stdout.contains("\n                                    remedy: "), "{stdout}");
    world.stop().await;
}

#[tokio::test]
async fn a_terminal_shows_each_line_when_its_check_ends() {
    let world = world().start().await;
    world.rds().stall();
    let mut terminal = Terminal::launch(&launch(&world, &["--target", "orders-db", "--user", "alice"])).await;
    terminal.expect("a server of this program").await;
    assert!(!terminal.text().contains("login"), "{}", terminal.text());
    world.rds().resume();
    assert!(terminal.ended().await.success(), "{}", terminal.text());
    let text = terminal.text();
    assert!(text.contains("\u{1b}[1;32mok     \u{1b}[0m") && text.contains("round_trip"), "{text}");
    world.stop().await;
}

//! `targets`: the databases that a client can reach, and those that it cannot.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::schema;
use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::instance::{Cluster, Instance};
use crate::support::output::Output;
use crate::support::proxy::{Finished, Launch};
use crate::support::rds_api::{ACCOUNT, DbCluster};
use crate::support::rds_proxy::RdsProxy;
use crate::support::runtime;
use crate::support::world::Running;

const PATIENCE: Duration = Duration::from_mins(1);

/// The launch of `targets` with the configuration of the world's client, and without the log at its most verbose level.
fn launch(world: &Running, arguments: &[&str]) -> Launch {
    let launch = Launch::mode("targets", "targets", &world.directory.join("client.yaml"));
    world.launch(launch.with(arguments), &world.key).env("LOG_LEVEL", "")
}

async fn targets(world: &Running, arguments: &[&str]) -> Finished {
    launch(world, arguments).run().await
}

/// The entries of the list, which match the schema, in their order.
async fn list(world: &Running, arguments: &[&str]) -> Vec<Value> {
    let ended = targets(world, &[arguments, &["--output", "json"]].concat()).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    entries(&ended.stdout)
}

fn entries(document: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(document).unwrap();
    schema::check("targets", &document);
    document.as_array().unwrap().clone()
}

fn names(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

fn world() -> World {
    World::new()
        .with_instance(Instance::new("orders-db").tag("rds-auth-proxy:local-port", "54001"))
        .with_instance(
            Instance::new("people-db").in_region("eu-west-1").tag("rds-auth-proxy:db-name", "people"),
        )
        .without_server()
        .without_client()
}

#[tokio::test]
async fn every_target_has_its_kind_and_its_properties() {
    let world = world()
        .with_cluster("aurora")
        .with_rds_proxy(RdsProxy::new("pool", "orders-db"))
        .with_target("fixed", "{host: 'postgres.example:5432', database: app}")
        .with_target("renamed", "{host: <orders-db>, local_port: 54002}")
        .start()
        .await;
    let entries = list(&world, &[]).await;
    let sorted = [
        "aurora-instance-1",
        "aurora:custom:aurora-custom",
        "aurora:reader",
        "aurora:writer",
        "fixed",
        "orders-db",
        "people-db",
        "pool:proxy",
        "pool:proxy:readers",
        "renamed",
    ];
    assert_eq!(names(&entries), sorted);
    let found: BTreeMap<_, _> =
        entries.iter().map(|entry| (entry["name"].as_str().unwrap(), entry)).collect();
    let kinds = [
        "instance", "custom", "reader", "writer", "static", "instance", "instance", "proxy", "proxy",
        "static",
    ];
    for (name, kind) in sorted.iter().zip(kinds) {
        assert_eq!(found[name]["kind"], kind, "{name}");
    }
    let endpoint = world.database("people-db").endpoint();
    assert_eq!(
        *found["people-db"],
        json!({
            "name": "people-db", "kind": "instance", "engine": "postgres", "version": "15.8", "endpoint": endpoint,
            "region": "eu-west-1", "account": ACCOUNT, "database": "people", "local_port": 27231,
        })
    );
    assert_eq!(found["aurora:writer"]["engine"], "aurora-postgresql");
    assert_eq!(
        (&found["pool:proxy"]["engine"], &found["pool:proxy"]["version"]),
        (&json!("postgresql"), &Value::Null)
    );
    assert_eq!(
        *found["fixed"],
        json!({
            "name": "fixed", "kind": "static", "engine": null, "version": null, "endpoint": "postgres.example:5432",
            "region": null, "account": null, "database": "app", "local_port": found["fixed"]["local_port"],
        })
    );
    assert_eq!(found["renamed"]["engine"], "postgres", "RDS lists its host");
    assert_eq!(
        (&found["orders-db"]["local_port"], &found["renamed"]["local_port"]),
        (&json!(54001), &json!(54002))
    );
    world.stop().await;
}

#[tokio::test]
async fn patterns_filter_in_any_case_and_one_without_a_match_is_an_error() {
    let world = world().with_cluster("aurora").start().await;
    for (patterns, expected) in [
        (&["AURORA:*"][..], &["aurora:custom:aurora-custom", "aurora:reader", "aurora:writer"][..]),
        (&["*-db", "aurora:writer"], &["aurora:writer", "orders-db", "people-db"]),
        (&["orders-d?"], &["orders-db"]),
    ] {
        assert_eq!(names(&list(&world, patterns).await), expected);
    }
    let endpoint = world.database("people-db").endpoint();
    assert_eq!(names(&list(&world, &[&endpoint]).await), ["people-db"]);
    for (pattern, parts) in [
        ("order-db", &["no target is called \"order-db\"; did you mean \"orders-db\"?"][..]),
        ("order-d*", &["no target matches \"order-d*\"; did you mean \"orders-db\"?", "people-db"]),
    ] {
        let ended = targets(&world, &["orders-db", pattern]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert!(parts.iter().all(|part| ended.stderr.contains(part)), "{}", ended.stderr);
    }
    world.stop().await;
}

#[tokio::test]
async fn hidden_databases_have_the_reason() {
    let mut world = world()
        .with_instance(Instance::new("new-db").without_endpoint())
        .with_instance(Instance::new("old-db").without_iam())
        .with_instance(Instance::new("shop-db").engine("mysql"))
        .with_instance(Instance::new("secret-db").tag("hidden", "yes"))
        .with_cluster(Cluster::new("closed").without_iam())
        .with_rds_proxy(RdsProxy::new("pool", "orders-db").without_iam())
        .with_client(
            "{proxy: {target_acl: {blocked_rds_tags: [{name: hidden, value: 'yes'}]}}, \
             targets: {lost: {rds: gone-db, host: 'h:1'}}}",
        )
        .start()
        .await;
    world.aws.put_cluster(DbCluster {
        identifier: "wiki".into(),
        region: "us-east-1".into(),
        engine: "aurora-mysql".into(),
        port: 3306,
        writer: Some("wiki.example".into()),
        reader: None,
        custom: Vec::new(),
        database: None,
        iam: true,
        tags: Vec::new(),
        members: Vec::new(),
    });
    assert_eq!(names(&list(&world, &[]).await), ["orders-db", "people-db"]);
    let entries = list(&world, &["--hidden"]).await;
    let reasons: Vec<_> = entries.iter().filter(|entry| entry.get("reason").is_some()).collect();
    let expected = [
        (
            "closed-instance-1",
            "instance",
            "IAM database authentication is off; modify the instance or its cluster",
        ),
        ("closed:writer", "writer", "IAM database authentication is off"),
        ("lost", "static", "it needs the RDS database \"gone-db\": RDS does not list it"),
        ("new-db", "instance", "it has no endpoint yet"),
        ("old-db", "instance", "IAM database authentication is off"),
        ("pool:proxy", "proxy", "IAM authentication is off in the settings of the RDS Proxy"),
        ("secret-db", "instance", "its RDS tag hidden=yes is in blocked_rds_tags"),
        ("shop-db", "instance", "its engine is mysql, not PostgreSQL"),
        ("wiki:writer", "writer", "its engine is aurora-mysql, not PostgreSQL"),
    ];
    assert_eq!(reasons.len(), expected.len(), "{reasons:#?}");
    for (entry, (name, kind, reason)) in reasons.into_iter().zip(expected) {
        assert_eq!(
            (&entry["name"], &entry["kind"], &entry["local_port"]),
            (&json!(name), &json!(kind), &Value::Null)
        );
        assert!(entry["reason"].as_str().unwrap().starts_with(reason), "{entry}");
    }
    let old = entries.iter().find(|entry| entry["name"] == "old-db").unwrap();
    assert_eq!(
        (&old["endpoint"], &old["account"]),
        (&json!(world.database("old-db").endpoint()), &json!(ACCOUNT))
    );
    assert_eq!(names(&list(&world, &["shop*", "--hidden"]).await), ["shop-db"]);
    let text = targets(&world, &["new-db", "--hidden"]).await.stdout;
    assert_eq!(
        text,
        format!("new-db\tinstance\tpostgres\t15.8\t\tus-east-1\t{ACCOUNT}\tapp\t\tit has no endpoint yet\n")
    );
    let visible = targets(&world, &["old-db"]).await;
    assert_eq!(visible.code, Some(2));
    assert!(visible.stderr.contains("old-db") && visible.stderr.contains("is off"), "{}", visible.stderr);
    world.add_instance("later-db").await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("DescribeDBClusters"));
    let ended = targets(&world, &["--hidden"]).await;
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("an AWS call is not available") && ended.stdout.contains("shop-db"),
        "{ended:?}"
    );
    world.stop().await;
}

#[tokio::test]
async fn an_incomplete_list_says_what_it_lacks() {
    let world = world().start().await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).in_region("eu-west-1"));
    let ended = targets(&world, &["--output", "json"]).await;
    assert_eq!((ended.code, names(&entries(&ended.stdout))), (Some(0), vec!["orders-db"]));
    let warning = ended.stderr.lines().find(|line| line.contains("WARN")).unwrap();
    assert!(warning.contains("its databases are missing") && warning.contains("eu-west-1"), "{warning}");
    let ended = targets(&world, &["people*"]).await;
    assert_eq!(ended.code, Some(1), "the pattern may be right: {ended:?}");
    assert!(ended.stderr.contains("the list is not complete"), "{}", ended.stderr);

    world.aws.fail(Rule::every(AwsFailure::AccessDenied));
    let ended = targets(&world, &[]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("rds:DescribeDBInstances"), "{}", ended.stderr);
    world.stop().await;
}

/// A client cannot tell databases of one name in two regions apart by name. A name of the configuration comes before one of RDS.
#[tokio::test]
async fn a_name_that_is_not_unique_has_no_port() {
    let world = world()
        .with_instance(Instance::new("orders-db").in_region("eu-west-1").at("127.0.0.5"))
        .with_target("people-db", "{host: 'postgres.example:5432'}")
        .start()
        .await;
    let ports =
        |entries: &[Value]| entries.iter().map(|entry| entry["local_port"].clone()).collect::<Vec<_>>();
    assert_eq!(ports(&list(&world, &["orders-db"]).await), [Value::Null, Value::Null]);
    let people = list(&world, &["people-db"]).await;
    let kinds: Vec<_> = people.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds, ports(&people)), (vec!["instance", "static"], vec![Value::Null, json!(27231)]));
    world.stop().await;
}

/// A `targets` that runs until it is killed.
async fn start(launch: Launch) -> (Child, Output) {
    let mut command = Command::new(&launch.binary);
    command
        .args(&launch.arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = runtime::within(async move { command.spawn().unwrap() }).await;
    let output = Output::collect("targets' stdout".into(), child.stdout.take().unwrap());
    (child, output)
}

#[tokio::test]
async fn a_watched_list_has_one_document_for_each_change() {
    let mut world = world().start().await;
    let (child, output) = start(launch(&world, &["--watch", "--output", "json"])).await;
    let document = async |number: usize| {
        let line = |text: &str| text.lines().nth(number).map(str::to_owned);
        entries(&output.wait_for(PATIENCE, line).await.unwrap())
    };
    assert_eq!(names(&document(0).await), ["orders-db", "people-db"]);
    let refresh = || {
        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::HUP).unwrap();
    };
    // Nothing changed, so nothing is printed. A refresh of AWS shows that the signal arrived.
    let before = world.aws.requests("DescribeDBInstances");
    refresh();
    while world.aws.requests("DescribeDBInstances") < before + 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.add_instance("later-db").await;
    refresh();
    assert_eq!(names(&document(1).await), ["later-db", "orders-db", "people-db"]);
    world.aws.remove_instance("people-db");
    refresh();
    assert_eq!(names(&document(2).await), ["later-db", "orders-db"]);
    let config = world.directory.join("client.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}targets: {{fixed: {{host: 'postgres.example:5432'}}}}\n"))
        .unwrap();
    refresh();
    assert_eq!(names(&document(3).await), ["fixed", "later-db", "orders-db"]);
    drop(child);
    world.stop().await;
}

/// The program `script` provides the terminal, and an emulator shows what a person sees.
#[tokio::test]
async fn a_terminal_gets_a_table_whose_names_are_whole() {
    let long = "orders-production-database-of-the-whole-company-number-one";
    let world = world().with_instance(long).start().await;
    let launch = launch(&world, &[]);
    let line = format!("stty cols 40; exec '{}' {}", launch.binary.display(), launch.arguments.join(" "));
    let shell = Launch {
        binary: "script".into(),
        arguments: ["--quiet", "--return", "--command", &line, "/dev/null"].map(str::to_owned).into(),
        ..launch
    };
    let ended = shell.env("TERM", "xterm").run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().map(str::trim_end).collect();
    assert!(lines[0].starts_with("\u{1b}[1mNAME") && lines[0].contains("LOCAL PORT"), "{lines:#?}");
    let column = lines[0].find("ENDPOINT").unwrap() - "\u{1b}[1m".len();
    let rows: Vec<_> = lines.iter().skip(1).collect();
    assert_eq!(rows.len(), 3, "{lines:#?}");
    assert!(rows.iter().all(|row| row[column..].starts_with("localhost:")), "{lines:#?}");
    assert!(rows.iter().any(|row| row.starts_with(long)), "{lines:#?}");
    world.stop().await;
}

/// The completion in shells reads this file.
#[cfg(unix)]
#[tokio::test]
async fn the_names_of_a_list_are_kept_for_its_owner() {
    use std::os::unix::fs::PermissionsExt;

    let world = world().start().await;
    let cache = crate::support::scratch::new_directory("cache");
    let ended = launch(&world, &[]).env("XDG_CACHE_HOME", cache.to_str().unwrap()).run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let file = cache.join("rds-auth-proxy/targets");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "orders-db\npeople-db\n");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // A cache that cannot be written changes nothing.
    let ended = launch(&world, &[]).env("XDG_CACHE_HOME", file.to_str().unwrap()).run().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    world.stop().await;
}

//! `accounts`: the databases of several accounts in one list.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use crate::doors::{own_address, printed};
use crate::operations::{ADMIN, get};
use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::instance::Instance;
use crate::support::proxy::{Finished, Launch, Proxy};
use crate::support::raw::{Raw, Refusal};
use crate::support::rds_api::ACCOUNT;
use crate::support::sts::Role;
use crate::support::world::Running;

const DEV: &str = "111122223333";
const PROD: &str = "444455556666";

fn role(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/databases")
}

/// Two accounts with a database of the same name in each, one of them in another region, and a server for both.
async fn world() -> Running {
    world_at(Ipv4Addr::LOCALHOST).await
}

/// Such a world, with a client that listens at this address.
async fn world_at(address: Ipv4Addr) -> Running {
    let accounts = format!(
        "accounts: {{dev: {{assume_role: {{role_arn: '{}'}}, regions: [us-east-1]}}, \
         prod: {{assume_role: {{role_arn: '{}'}}, regions: [eu-west-1]}}}}",
        role(DEV),
        role(PROD)
    );
    let world = World::new()
        .with_instance(Instance::new("orders").in_account(DEV))
        .with_instance(Instance::new("orders").in_account(PROD).in_region("eu-west-1"))
        .with_server(&accounts)
        .with_server(ADMIN)
        .with_client(&accounts)
        .with_client(&format!("proxy: {{listen_addr: '{address}:0'}}"))
        .without_server()
        .without_client()
        .start()
        .await;
    for account in [DEV, PROD] {
        world.aws.put_role(Role::new(&role(account), &[&format!("arn:aws:iam::{ACCOUNT}:user/tester")]));
    }
    world
}

/// A server, and a client for all targets that goes through it.
async fn chain(world: &Running) -> (Proxy, Proxy) {
    let server = world.start_proxy(world.server_launch()).await;
    let path = world.directory.join("client.yaml");
    let mut config: serde_yaml::Value = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config["upstream_proxies"]["default"]["host"] = server.address.as_str().into();
    fs::write(&path, serde_yaml::to_string(&config).unwrap()).unwrap();
    let client = world.start_proxy(all(world, &[])).await;
    (server, client)
}

/// A client for all targets.
fn all(world: &Running, flags: &[&str]) -> Launch {
    let launch = Launch::mode("client", "client", &world.directory.join("client.yaml"));
    world.launch(launch.with(&["--all"]).with(flags), &world.key)
}

async fn database_at(client: &Proxy, database: &str) -> Result<String, Refusal> {
    let (mut raw, _) = Raw::log_in(client.port(), &[("user", "alice"), ("database", database)]).await?;
    raw.query("select current_database()").await
}

/// Runs a command with the configuration of the client.
async fn run(world: &Running, command: &str, arguments: &[&str]) -> Finished {
    let launch = Launch::mode(command, command, &world.directory.join("client.yaml")).with(arguments);
    world.launch(launch, &world.key).env("LOG_LEVEL", "").run().await
}

#[tokio::test]
async fn one_client_and_one_server_reach_the_databases_of_all_accounts() {
    let world = world().await;
    let (server, client) = chain(&world).await;
    for (database, account) in [("dev/orders", DEV), ("prod/orders/app", PROD), ("PROD/orders", PROD)] {
        assert_eq!(database_at(&client, database).await.unwrap(), "app", "{database}");
        let rds = world.database(&format!("{account}/orders"));
        let [key] = &world.aws.assumed(&role(account))[1..] else {
            panic!("one for the server, one for the client")
        };
        assert!(rds.tokens().last().unwrap().contains(&key.id), "{account}");
    }
    let refusal = database_at(&client, "prod/ordesr/app").await.unwrap_err();
    refusal.expect("3D000", &["did you mean prod/orders?"]);
    server.wait_for_log("prod/orders").await;
    let (_, metrics) = get(&server, "/metrics").await;
    for (account, region) in [("dev", "us-east-1"), ("prod", "eu-west-1")] {
        let age =
            format!("rds_auth_proxy_discovery_age_seconds{{region=\"{region}\",account=\"{account}\"}}");
        assert!(metrics.contains(&age), "{metrics}");
    }
    assert!(metrics.contains("rds_auth_proxy_sessions_total{target=\"prod/orders\""), "{metrics}");
    drop(server);
    world.stop().await;
}

#[tokio::test]
async fn an_account_that_fails_costs_only_itself_and_keeps_its_last_list() {
    let world = world().await;
    let path = world.directory.join("client.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("accounts:\n", "accounts:\n  broken: {profile: absent}\n")).unwrap();
    let client = world.start_proxy(all(&world, &["--direct"])).await;
    client.wait_for_log("discovery failed in an account; its databases are missing").await;
    client.wait_for_log("the RDS databases of the account \"broken\" could not be listed").await;
    assert_eq!(database_at(&client, "prod/orders").await.unwrap(), "app");

    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("DescribeDBInstances").in_region("eu-west-1"));
    let lines =
        || client.log().lines().filter(|line| line.contains("WARN") && line.contains("\"prod\"")).count();
    assert_eq!(lines(), 0);
    client.signal(Signal::HUP);
    client.wait_for_log("discovery failed in an account; its last list stays in use").await;
    assert_eq!(lines(), 1, "{}", client.log());
    assert_eq!(database_at(&client, "prod/orders").await.unwrap(), "app");
    assert_eq!(database_at(&client, "dev/orders").await.unwrap(), "app");
    world.stop().await;
}

#[tokio::test]
async fn targets_name_the_account_and_patterns_choose_by_it() {
    let world = world().await;
    let list = async |arguments: &[&str]| {
        let ended = run(&world, "targets", &[&["--output", "json"], arguments].concat()).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let list: Value = serde_json::from_str(&ended.stdout).unwrap();
        crate::schema::check("targets", &list);
        let pair = |entry: &Value| {
            (entry["name"].as_str().unwrap().to_owned(), entry["account"].as_str().unwrap().to_owned())
        };
        list.as_array().unwrap().iter().map(pair).collect::<Vec<_>>()
    };
    let (dev, prod) =
        (("dev/orders".to_owned(), DEV.to_owned()), ("prod/orders".to_owned(), PROD.to_owned()));
    assert_eq!(list(&[]).await, [dev.clone(), prod.clone()]);
    assert_eq!(list(&["prod/*"]).await, std::slice::from_ref(&prod));
    assert_eq!(list(&["*/orders"]).await, [dev, prod]);
    let table = run(&world, "targets", &[]).await.stdout;
    assert!(table.contains("prod/orders") && table.contains(PROD), "{table}");
    world.stop().await;
}

#[tokio::test]
async fn an_unknown_account_or_a_name_without_one_gets_the_nearest_names() {
    let world = world().await;
    for (command, name, expected) in [
        ("token", "prdo/orders", "no account is called \"prdo\"; did you mean \"prod\"?\n  dev\n  prod"),
        ("token", "orders", "no target is called \"orders\"; did you mean \"dev/orders\"?"),
        ("client", "prdo/orders", "no account is called \"prdo\"; did you mean \"prod\"?"),
        ("client", "prdo/*", "no account is called \"prdo\"; did you mean \"prod\"?"),
        ("client", "prod/ordes", "did you mean \"prod/orders\"?"),
        ("export", "prdo/*", "no account is called \"prdo\"; did you mean \"prod\"?"),
    ] {
        let mut arguments = vec!["--target", name];
        match command {
            "token" => arguments.extend(["--user", "alice"]),
            "export" => arguments.extend(["--format", "env"]),
            _ => {}
        }
        let ended = run(&world, command, &arguments).await;
        assert_eq!(ended.code, Some(2), "{command} {name}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{command} {name}: {}", ended.stderr);
    }
    world.stop().await;
}

/// libpq finds the service, whose name has the account.
#[tokio::test]
async fn a_service_of_libpq_has_the_name_with_the_account() {
    let world = world_at(own_address()).await;
    let path = world.directory.join("services");
    let ended = run(&world, "export", &["--format", "service"]).await;
    assert!(ended.stdout.contains("[prod/orders]\n"), "{ended:?}");
    fs::write(&path, &ended.stdout).unwrap();
    let client = world.start_proxy(all(&world, &["--direct"])).await;
    printed(&client).await;
    let mut psql = Command::new("psql");
    psql.args(["-X", "-A", "-t", "-w", "-c", "select current_database()", "service=prod/orders user=alice"]);
    psql.env("PGSERVICEFILE", &path).env("PGCONNECT_TIMEOUT", "60").stdin(Stdio::null()).kill_on_drop(true);
    let output = psql.output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "app", "{output:?}");
    assert_eq!(world.database(&format!("{PROD}/orders")).logins().len(), 1);
    world.stop().await;
}

//! What a client with several targets prints at its start, and why it does not start.

use rustix::process::Signal;
use tokio::net::TcpListener;

use super::{at_port, database_at, own_address, printed, start, wait_for_port};
use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::instance::Instance;
use crate::support::ports::free_port;
use crate::support::proxy::Launch;
use crate::support::world::Running;

async fn refusal(world: &Running, flags: &[&str]) -> String {
    let ended = world.client_launch(flags).run().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let text = ended.stderr.lines().skip_while(|line| !line.starts_with("error: "));
    text.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn names_and_patterns_without_a_target_are_refused_with_the_nearest_names() {
    let world = World::new()
        .with_instance("orders-eu")
        .with_instance("orders-us")
        .with_instance(Instance::new("no-iam").without_iam())
        .without_server()
        .without_client()
        .start()
        .await;
    let text = refusal(&world, &["--target", "orders-eu", "--target", "ordres*"]).await;
    assert!(text.starts_with("error: no target matches \"ordres*\"; did you mean \"orders-"), "{text}");
    let text = refusal(&world, &["--target", "orders-*", "--target", "orders-eo"]).await;
    assert!(
        text.starts_with("error: no target is called \"orders-eo\"; did you mean \"orders-eu\"?"),
        "{text}"
    );
    let text = refusal(&world, &["--target", "orders-*", "--target", "no-iam"]).await;
    assert!(text.contains("the target \"no-iam\" cannot be used; RDS has it in us-east-1"), "{text}");
}

#[tokio::test]
async fn two_targets_with_one_configured_port_are_refused_and_with_one_tag_the_later_one_moves() {
    let (port, tagged) = (free_port(), free_port());
    let world = World::new()
        .with_instance("orders")
        .with_instance("people")
        .with_instance(at_port("tag-a", tagged))
        .with_instance(at_port("tag-b", tagged))
        .with_instance(at_port("a-tag", port))
        .with_client(&format!("targets: {{orders: {{local_port: {port}}}, people: {{local_port: {port}}}}}"))
        .with_client(&format!("proxy: {{listen_addr: '{}:0'}}", own_address()))
        .without_server()
        .without_client()
        .start()
        .await;
    let expected = format!(
        "error: the targets \"orders\" and \"people\" have the same local_port {port}; change one of them"
    );
    assert_eq!(refusal(&world, &["--all"]).await, expected);

    let client = start(&world, &["--target", "orders", "--target", "*tag*"]).await;
    let text = printed(&client).await;
    let row = |name: &str| {
        let row = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{text}"));
        row.split_whitespace().nth(2).unwrap().parse::<u16>().unwrap()
    };
    assert_eq!((row("orders"), row("tag-a")), (port, tagged), "{text}");
    for name in ["tag-b", "a-tag"] {
        assert!((20_000..30_000).contains(&row(name)), "{text}");
        let text = format!(
            "another target has the port of this one, which gets the next free one target=\"{name}\""
        );
        client.wait_for_log(&text).await;
        let log = client.log();
        assert!(log.lines().any(|line| line.contains(&text) && line.contains("WARN")), "{log}");
    }
}

#[tokio::test]
async fn the_table_is_aligned_and_has_the_command_for_the_shared_port() {
    let (orders, people) = (free_port(), free_port());
    let world = World::new()
        .with_instance(at_port("orders", orders))
        .with_instance(at_port("people-of-the-company", people))
        .without_server()
        .without_client()
        .start()
        .await;
    let client = start(&world, &["--all"]).await;
    let text = printed(&client).await;
    let address = |name: &str| world.database(name).endpoint();
    let width = address("orders").len();
    let expected = [
        format!("TARGET                 {:width$}  PORT   DATABASE", "ADDRESS"),
        format!("orders                 {}  {orders}  app", address("orders")),
        format!("people-of-the-company  {}  {people}  app", address("people-of-the-company")),
        String::new(),
        format!(
            "Ready: each target has its port, through the upstream proxy default. At {} the database names the target:",
            client.address
        ),
        String::new(),
        format!("\tpsql -h 127.0.0.1 -p {} -d orders/app -U YOUR_DATABASE_USER", client.port()),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>()[..7], expected.each_ref().map(String::as_str), "{text}");
}

#[tokio::test]
async fn a_port_in_use_stops_no_other_target_and_is_tried_again() {
    let (orders, people) = (free_port(), free_port());
    let other = TcpListener::bind(("127.0.0.1", orders)).await.unwrap();
    let world = World::new()
        .with_instance(at_port("orders", orders))
        .with_instance(at_port("people", people))
        .without_client()
        .start()
        .await;
    let client = start(&world, &["--target", "*"]).await;
    client.wait_for_log("this target has no port now target=\"orders\"").await;
    assert!(client.log().contains("another program listens there"), "{}", client.log());
    let row = printed(&client).await;
    assert!(row.lines().any(|line| line.starts_with("orders") && line.contains("  in use  ")), "{row}");
    assert_eq!(database_at(people, "app").await.unwrap(), "app");
    assert_eq!(database_at(client.port(), "orders").await.unwrap(), "app");

    drop(other);
    client.signal(Signal::HUP);
    client.wait_for_log("opened the port of a target target=\"orders\"").await;
    wait_for_port(orders, true).await;
    assert_eq!(database_at(orders, "app").await.unwrap(), "app");
    assert_eq!(client.log().matches("this target has no port now").count(), 1);
    world.stop().await;
}

/// As a service of a login, whose AWS session has expired.
#[tokio::test]
async fn a_client_for_all_targets_starts_without_any_and_opens_their_ports_later() {
    let orders = free_port();
    let world = World::new().with_instance(at_port("orders", orders)).without_client().start().await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("DescribeDBInstances"));
    let client = start(&world, &["--all"]).await;
    let warning = "discovery failed, so no target can be used yet";
    client.wait_for_log(warning).await;
    let log = client.log();
    let line = log.lines().find(|line| line.contains(warning)).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("WARN") && line.contains("rds:DescribeDBInstances"), "{line}");
    let text = printed(&client).await;
    assert!(
        text.starts_with("Ready: no target is known yet; each gets its port when AWS lists it, "),
        "{text}"
    );
    let refusal = database_at(client.port(), "orders").await.unwrap_err();
    refusal.expect("3D000", &["it serves none now"]);

    client.signal(Signal::HUP);
    client.wait_for_log("discovery failed; the last list stays in use").await;
    world.aws.recover();
    client.signal(Signal::HUP);
    wait_for_port(orders, true).await;
    let opened = "opened the port of a target target=\"orders\"";
    client.wait_for_log(opened).await;
    assert!(
        client.log().lines().any(|line| line.contains("INFO") && line.contains(opened)),
        "{}",
        client.log()
    );
    assert_eq!(database_at(orders, "app").await.unwrap(), "app");
    assert_eq!(database_at(client.port(), "orders/app").await.unwrap(), "app");
    world.stop().await;
}

/// A name may be wrong, and without a region no discovery can succeed.
#[tokio::test]
async fn a_client_for_names_or_without_a_region_still_ends_with_the_reason() {
    let world = World::new().with_instance("orders").without_server().without_client().start().await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("DescribeDBInstances"));
    for flags in
        [&["--target", "orders"][..], &["--target", "*"], &["--target", "orders", "--target", "people"]]
    {
        let ended = world.client_launch(flags).run().await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended.stderr.contains("error: the RDS databases of us-east-1 could not be listed"),
            "{ended:?}"
        );
    }
    let path = world.directory.join("no-region.yaml");
    std::fs::write(&path, "upstream_proxies: {default: {host: 'h:1'}}").unwrap();
    let launch = Launch::mode("client", "client", &path).with(&["--all", "--listen", "127.0.0.1:0"]);
    let mut launch = world.launch(launch, &world.key);
    launch.environment.retain(|(name, _)| name != "AWS_REGION");
    let ended = launch.run().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("AWS_REGION"), "{}", ended.stderr);
}

/// A Unix socket for all gets the others beside it, where libpq finds them.
#[tokio::test]
async fn beside_a_unix_socket_each_target_has_a_socket() {
    let world = World::new()
        .with_instance(at_port("orders", 5433))
        .with_instance(at_port("people", 5434))
        .with_client("proxy: {listen_addr: 'unix:<directory>/.s.PGSQL.5432'}")
        .without_client()
        .start()
        .await;
    let client = start(&world, &["--all"]).await;
    printed(&client).await;
    for (port, database) in [("5433", "app"), ("5434", "app"), ("5432", "people/app")] {
        let mut command = tokio::process::Command::new("psql");
        command.args(["-X", "-A", "-t", "-w", "-U", "alice", "-p", port, "-d", database, "-h"]);
        command.arg(&world.directory).args(["-c", "select 1"]).env("PGCONNECT_TIMEOUT", "60");
        let output = command.output().await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1", "{port}: {output:?}");
    }
    assert_eq!(super::logins(&world, &["orders", "people"]), [1, 2]);
    world.stop().await;
}

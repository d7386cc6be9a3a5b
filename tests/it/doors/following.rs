//! The ports follow the list of targets and the configuration while the client runs.

use std::fs;

use rustix::process::Signal;

use super::{at_port, database_at, logins, start, wait_for_port};
use crate::cancel::{expect_cancelled, request_cancel_at, sleeper_at};
use crate::support::builder::World;
use crate::support::ports::free_port;
use crate::support::raw::Raw;

#[tokio::test]
async fn new_databases_get_a_port_and_removed_ones_lose_it() {
    let (orders, people, later) = (free_port(), free_port(), free_port());
    let world = World::new()
        .with_instance(at_port("orders", orders))
        .with_instance(at_port("people", people))
        .without_server()
        .without_client();
    let mut world = world.start().await;
    // A server that lists the databases again would refuse the cancel request at the end.
    let client = start(&world, &["--all", "--direct"]).await;
    let mut session = Raw::session(people, "alice").await;
    let (mut sleeper, key) = sleeper_at(&world, client.port(), "people").await;

    world.add_instance(at_port("later", later)).await;
    world.aws.remove_instance("people");
    client.signal(Signal::HUP);
    wait_for_port(later, true).await;
    wait_for_port(people, false).await;
    client.wait_for_log("closed the port of a target; its sessions continue target=\"people\"").await;
    assert_eq!(database_at(later, "app").await.unwrap(), "app");
    assert_eq!(database_at(client.port(), "later").await.unwrap(), "app");
    assert_eq!(database_at(orders, "app").await.unwrap(), "app");
    database_at(client.port(), "people").await.unwrap_err().expect("3D000", &["\"people\""]);

    // Its sessions go on, and can be cancelled.
    assert_eq!(session.query("select 7").await.unwrap(), "7");
    request_cancel_at(client.port(), &key).await;
    expect_cancelled(&mut sleeper).await;
    drop((session, sleeper));
    world.stop().await;
}

#[tokio::test]
async fn a_changed_configuration_moves_ports_and_adds_targets() {
    let (first, second, fixed) = (free_port(), free_port(), free_port());
    let world = World::new()
        .with_instance("orders")
        .with_client(&format!("targets: {{orders: {{local_port: {first}}}}}"))
        .without_client()
        .start()
        .await;
    let client = start(&world, &["--all"]).await;
    assert_eq!(database_at(first, "app").await.unwrap(), "app");

    let path = world.directory.join("client.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let endpoint = world.rds().endpoint();
    let added = format!("local_port: {second}\n  fixed:\n    host: {endpoint}\n    local_port: {fixed}\n");
    fs::write(&path, text.replace(&format!("local_port: {first}\n"), &added)).unwrap();
    wait_for_port(second, true).await;
    wait_for_port(fixed, true).await;
    wait_for_port(first, false).await;
    assert_eq!(database_at(fixed, "app").await.unwrap(), "app");
    assert_eq!(database_at(client.port(), "fixed/app").await.unwrap(), "app");
    assert!(!client.log().contains("which needs a restart"), "{}", client.log());
    world.stop().await;
}

/// Each port is free before the other target gets it.
#[tokio::test]
async fn two_targets_swap_their_ports() {
    let (first, second) = (free_port(), free_port());
    let targets = |orders: u16, people: u16| {
        format!("targets: {{orders: {{local_port: {orders}}}, people: {{local_port: {people}}}}}")
    };
    let world = World::new()
        .with_instance("orders")
        .with_instance("people")
        .with_client(&targets(first, second))
        .without_client()
        .start()
        .await;
    let client = start(&world, &["--all"]).await;
    database_at(first, "app").await.unwrap();
    assert_eq!(logins(&world, &["orders", "people"]), [1, 0]);

    let path = world.directory.join("client.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let swapped = text.replace(&first.to_string(), "x").replace(&second.to_string(), &first.to_string());
    fs::write(&path, swapped.replace("local_port: x", &format!("local_port: {second}"))).unwrap();
    client.signal(Signal::HUP);
    for name in ["orders", "people"] {
        client.wait_for_log(&format!(" INFO opened the port of a target target=\"{name}\"")).await;
    }
    database_at(first, "app").await.unwrap();
    assert_eq!(logins(&world, &["orders", "people"]), [1, 1]);
    assert!(!client.log().contains("this target has no port now"), "{}", client.log());
    world.stop().await;
}

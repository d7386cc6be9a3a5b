//! 200 databases in one client.

use std::time::{Duration, Instant};

use super::{own_address, printed};
use crate::support::builder::World;
use crate::support::rds_api::{ACCOUNT, DbInstance};

const TARGETS: usize = 200;

/// For a client with debug assertions on a busy machine. The release build needs less than 300 ms and 40 MB (docs/development.md).
const READY: Duration = Duration::from_secs(5);
const MEMORY_KB: usize = 80 * 1024;

#[tokio::test]
async fn two_hundred_databases_are_ready_soon_and_take_little_memory() {
    let address = own_address();
    let world = World::new()
        .with_client(&format!("proxy: {{listen_addr: '{address}:0'}}"))
        .without_server()
        .without_client()
        .start()
        .await;
    for number in 0..TARGETS {
        world.aws.put_instance(DbInstance {
            identifier: format!("database-{number:03}"),
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            engine: "postgres".into(),
            endpoint: Some((format!("database-{number:03}.example"), 5432)),
            database: Some("app".into()),
            iam: true,
            tags: Vec::new(),
            cluster: None,
        });
    }
    let client = world.start_client(&["--all"]).await;
    let listening = Instant::now();
    let text = printed(&client).await;
    let ready = listening.elapsed();
    eprintln!("ready {ready:?} after the shared port, peak memory {:?} kB", client.peak_memory());
    assert!(ready < READY, "{ready:?}");
    if let Some(peak) = client.peak_memory() {
        assert!(peak < MEMORY_KB, "{peak} kB");
    }
    let ports: Vec<_> = text.lines().filter(|line| line.starts_with("database-")).collect();
    assert_eq!(ports.len(), TARGETS);
    assert!(!text.contains("in use"), "{text}");
    for row in [ports[0], ports[TARGETS - 1]] {
        let port = row.split_whitespace().nth(2).unwrap();
        drop(tokio::net::TcpStream::connect(format!("{address}:{port}")).await.unwrap());
    }

    let one = world.start_client(&["--target", "database-000"]).await;
    eprintln!("with one target: peak memory {:?} kB", one.peak_memory());

    // The same ports in another run.
    drop(client);
    let again = world.start_client(&["--target", "database-0*", "--target", "database-1*"]).await;
    assert!(printed(&again).await.contains(ports[0]), "{}", again.stdout.text());
    world.stop().await;
}

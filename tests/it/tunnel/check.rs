use std::time::Duration;

use super::api_server::Port;
use super::cluster::Cluster;
use super::{tunnelled, world_of_one_pod};
use crate::support::ports::free_port;

const UNREACHABLE: &str = "the upstream proxy cannot be reached; connections fail until it can";

/// The check begins 3 s after the start.
const CHECKED: Duration = Duration::from_secs(6);

#[tokio::test]
async fn a_tunnel_that_fails_is_reported_before_a_connection_needs_it() {
    let forbidden = Cluster::start().await;
    let message = "pods is forbidden: User \"dev\" cannot list resource \"pods\" in API group \"\"";
    forbidden.add_pod("p", Port::Gone);
    forbidden.api.cluster().forbidden = [("pods".to_owned(), message.to_owned())].into();
    let away = Cluster::start().await;
    away.move_to(free_port());
    let no_process = Cluster::start().await;
    no_process.add_pod("p", Port::Listener(([127, 0, 0, 1], free_port()).into()));
    for (cluster, error) in [
        (forbidden, "error=Kubernetes does not let user dev list pods"),
        (away, "error=the API server https://127.0.0.1:"),
        (no_process, "error=pod p refuses connections on port 8000"),
    ] {
        let world = tunnelled(&cluster).without_server().start().await;
        world.add_secret(&cluster.token);
        world.client().wait_for_log(UNREACHABLE).await;
        let log = world.client().log();
        let line = log.lines().find(|line| line.contains(UNREACHABLE)).unwrap();
        assert!(line.contains("upstream=\"the upstream proxy default\"") && line.contains(error), "{line}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_tunnel_that_works_is_checked_once_and_costs_no_session() {
    let (cluster, world) = world_of_one_pod().await;
    tokio::time::sleep(CHECKED).await;
    assert_eq!(cluster.forwards(), ["pod-1"]);
    assert!(!world.client().log().contains(UNREACHABLE), "{}", world.client().log());
    assert_eq!(world.rds().connections(), 0);
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    world.stop().await;
}

#[tokio::test]
async fn a_tunnel_that_a_connection_has_tried_is_not_checked() {
    let (cluster, world) = world_of_one_pod().await;
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    let forwards = cluster.forwards();
    tokio::time::sleep(CHECKED).await;
    assert_eq!(cluster.forwards(), forwards);
    world.stop().await;
}

/// A plugin may open a browser, or wait for a second factor.
#[tokio::test]
async fn a_credential_plugin_does_not_run_for_a_check() {
    let cluster = Cluster::start().await;
    let directory = cluster.plugin("touch ran; exit 1", "").to_owned();
    let world = tunnelled(&cluster).without_server().start().await;
    tokio::time::sleep(CHECKED).await;
    assert!(!directory.join("ran").exists());
    assert!(!world.client().log().contains(UNREACHABLE), "{}", world.client().log());
    assert!(cluster.api.cluster().requests.is_empty());
    world.connect("alice").await.err().unwrap();
    assert!(directory.join("ran").exists(), "a connection runs it");
    world.stop().await;
}

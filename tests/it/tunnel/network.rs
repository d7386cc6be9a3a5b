use super::cluster::Cluster;
use crate::faults::{assert_told, break_everywhere, slow_down, warm};
use crate::support::legs::{Clocks, Leg, Legs};
use crate::support::relay::{Fault, Relay};

/// A tunnel without a path retries for nearly this long, which has to be less than the deadline of the tests.
const HANDSHAKE: &str = "proxy: {handshake_timeout: 6s}";

/// A chain with the hop's relay between the client and the Kubernetes API. TLS to the API, the list of pods, the upgrade,
/// the websocket and the session pass the relay on one connection.
async fn legs(clocks: Clocks) -> (Cluster, Legs) {
    let cluster = Cluster::start().await;
    let relay = Relay::start().await;
    relay.point_at(cluster.api.address.port());
    cluster.move_to(relay.port);
    let upstream = format!("{}\n{HANDSHAKE}", cluster.upstream("default"));
    let legs = Legs::start_over(relay, &upstream, clocks, "trace").await;
    legs.world.add_secret(&cluster.token);
    cluster.add("pod-1", legs.world.server());
    (cluster, legs)
}

/// Breaks sessions between the client and the API at every step, and expects that they leave nothing behind.
async fn break_with(clocks: Clocks, faults: &[Fault]) {
    let (cluster, legs) = legs(clocks).await;
    let before = warm(&legs).await;
    for (way, in_stream, fault, outcome) in break_everywhere(&legs, Leg::Hop, faults).await {
        assert_told(way, in_stream, fault, &outcome);
    }
    assert!(cluster.forwards().len() > 1, "no stream was opened");
    legs.settle(before).await;
    legs.fill().await;
    legs.stop().await;
}

#[tokio::test]
async fn a_slow_path_to_the_api_changes_no_byte() {
    let (_cluster, legs) = legs(Clocks::Patient).await;
    let before = warm(&legs).await;
    slow_down(&legs, Leg::Hop).await;
    legs.settle(before).await;
    legs.stop().await;
}

#[tokio::test]
async fn a_broken_path_to_the_api_is_reported() {
    break_with(Clocks::Patient, &[Fault::Reset, Fault::Close, Fault::HalfClose]).await;
}

#[tokio::test]
async fn a_silent_path_to_the_api_times_out() {
    break_with(Clocks::Hurried, &[Fault::Stall]).await;
}

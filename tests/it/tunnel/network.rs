use super::cluster::Cluster;
use crate::faults::{assert_told, break_everywhere, slow_down, warm};
use crate::support::legs::{Clocks, Leg, Legs};
use crate::support::relay::{Fault, Relay};

/// A tunnel that does not get through tries again for nearly this long, which has to fit into the tests' deadline.
const PATIENCE: &str = "proxy: {handshake_timeout: 6s}";

/// A chain in which the hop's relay is between the client and the Kubernetes API: the TLS to it, the list of pods, the
/// upgrade, the websocket before the login and the session pass it on one connection.
async fn legs(clocks: Clocks) -> (Cluster, Legs) {
    let cluster = Cluster::start().await;
    let relay = Relay::start().await;
    relay.point_at(cluster.api.address.port());
    cluster.move_to(relay.port);
    let upstream = format!("{}\n{PATIENCE}", cluster.upstream("default"));
    let legs = Legs::start_over(relay, &upstream, clocks, "trace").await;
    legs.world.add_secret(&cluster.token);
    cluster.add("pod-1", legs.world.server());
    (cluster, legs)
}

/// Breaks sessions between the client and the API at every step, and looks for what they leave behind.
async fn break_with(clocks: Clocks, faults: &[Fault]) {
    let (cluster, legs) = legs(clocks).await;
    let before = warm(&legs).await;
    for (way, in_stream, fault, outcome) in break_everywhere(&legs, Leg::Hop, faults).await {
        assert_told(way, in_stream, fault, &outcome);
    }
    assert!(cluster.forwards().len() > 1, "no stream was ever opened");
    legs.settle(before).await;
    legs.fill().await;
    legs.stop().await;
}

#[tokio::test]
async fn a_slow_way_to_the_api_changes_no_byte() {
    let (_cluster, legs) = legs(Clocks::Patient).await;
    let before = warm(&legs).await;
    slow_down(&legs, Leg::Hop).await;
    legs.settle(before).await;
    legs.stop().await;
}

#[tokio::test]
async fn a_way_to_the_api_that_breaks_is_told_of() {
    break_with(Clocks::Patient, &[Fault::Reset, Fault::Close, Fault::HalfClose]).await;
}

#[tokio::test]
async fn a_silent_way_to_the_api_is_given_up() {
    break_with(Clocks::Hurried, &[Fault::Stall]).await;
}

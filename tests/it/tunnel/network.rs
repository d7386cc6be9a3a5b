use super::cluster::Cluster;
use crate::bad_network::{disrupt_everywhere, slow_down, warm_up};
use crate::support::relay::{Disruption, Relay};
use crate::support::relayed_chain::{Link, RelayedChain, Timeouts};

/// A tunnel without a path retries for nearly this long, which has to be less than the deadline of the tests.
const HANDSHAKE: &str = "proxy: {handshake_timeout: 6s}";

/// A chain whose relay to the server is between the client and the Kubernetes API. TLS to the API, the list of pods, the
/// upgrade, the websocket and the session pass the relay on one connection, the spare one of the session before or a new one.
async fn chain(timeouts: Timeouts) -> (Cluster, RelayedChain) {
    let cluster = Cluster::start().await;
    // Each connection lists. A watch would outlive the session, and its connection count as left behind.
    let (pods, portforward): (&[&str], &[&str]) = (&["get", "list"], &["get", "create"]);
    cluster.api.cluster().rights.role = Some([("pods", pods), ("pods/portforward", portforward)].into());
    let relay = Relay::start().await;
    relay.set_target(cluster.api.address.port());
    cluster.move_to(relay.port);
    let upstream = format!("{}\n{HANDSHAKE}", cluster.upstream("default"));
    let chain = RelayedChain::start_over(relay, &upstream, timeouts, "trace").await;
    chain.world.add_secret(&cluster.token);
    cluster.add("pod-1", chain.world.server());
    (cluster, chain)
}

/// Breaks sessions between the client and the API at every step, and expects that they leave nothing behind.
async fn break_with(timeouts: Timeouts, disruptions: &[Disruption]) {
    let (cluster, chain) = chain(timeouts).await;
    let before = warm_up(&chain).await;
    for session in disrupt_everywhere(&chain, Link::ClientToServer, disruptions).await {
        session.assert_reported();
    }
    assert!(cluster.forwards().len() > 1, "no stream was opened");
    chain.wait_for_cleanup(before).await;
    chain.fill_all_slots().await;
    chain.stop().await;
}

#[tokio::test]
async fn a_slow_path_to_the_api_changes_no_byte() {
    let (_cluster, chain) = chain(Timeouts::Default).await;
    let before = warm_up(&chain).await;
    slow_down(&chain, Link::ClientToServer).await;
    chain.wait_for_cleanup(before).await;
    chain.stop().await;
}

#[tokio::test]
async fn a_broken_path_to_the_api_is_reported() {
    break_with(Timeouts::Default, &[Disruption::Reset, Disruption::Close, Disruption::HalfClose]).await;
}

#[tokio::test]
async fn a_silent_path_to_the_api_times_out() {
    break_with(Timeouts::Short, &[Disruption::Stall]).await;
}

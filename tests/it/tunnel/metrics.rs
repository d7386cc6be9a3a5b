use std::time::SystemTime;

use super::cluster::Cluster;
use super::tunnelled;
use crate::operations::{get, metric};
use crate::support::proxy::Proxy;
use crate::support::world::Running;

/// A world of one pod whose client has an admin address.
async fn world_with_metrics() -> (Cluster, Running) {
    let cluster = Cluster::start().await;
    let limits = "proxy: {admin_addr: '127.0.0.1:0', handshake_timeout: 4s}";
    let world = tunnelled(&cluster).with_client(limits).start().await;
    world.add_secret(&cluster.token);
    cluster.add("pod-1", world.server());
    (cluster, world)
}

async fn metrics(client: &Proxy) -> String {
    let (status, text) = get(client, "/metrics").await;
    assert_eq!(status, 200);
    text
}

fn dials(text: &str, outcome: &str) -> u64 {
    metric(text, &format!("rds_auth_proxy_tunnel_dials_total{{outcome=\"{outcome}\"}}"))
}

#[tokio::test]
async fn metrics_show_the_state_of_the_tunnel() {
    let (cluster, world) = world_with_metrics().await;
    assert!(!metrics(world.client()).await.contains("_tunnel_"), "the tunnel has not been used");

    cluster.add("pod-2", world.server());
    cluster.api.cluster().pods[1].ready = false;
    let session = world.connect("alice").await.unwrap();
    let text = metrics(world.client()).await;
    assert_eq!(metric(&text, "rds_auth_proxy_tunnel_streams_open"), 1);
    assert_eq!(metric(&text, "rds_auth_proxy_tunnel_pods{state=\"ready\"}"), 1);
    assert_eq!(metric(&text, "rds_auth_proxy_tunnel_pods{state=\"not_ready\"}"), 1);
    assert_eq!(dials(&text, "open"), 1);
    assert!(metric(&text, "rds_auth_proxy_tunnel_last_dial_seconds") < 4);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let at = metric(&text, "rds_auth_proxy_tunnel_last_dial_timestamp_seconds");
    assert!(at + 60 > now && at <= now, "{at} is not near {now}");
    assert!(text.contains("# HELP rds_auth_proxy_tunnel_dials_total "), "{text}");

    drop(session);
    for name in ["pod-1", "pod-2"] {
        cluster.terminate(name);
    }
    world.psql("alice", "select 1").await.unwrap_err();
    let text = metrics(world.client()).await;
    assert_eq!(metric(&text, "rds_auth_proxy_tunnel_streams_open"), 0, "the session's stream is closed");
    assert_eq!(metric(&text, "rds_auth_proxy_tunnel_pods{state=\"ready\"}"), 0);
    assert_eq!((dials(&text, "open"), dials(&text, "not_ready")), (1, 1));
    assert_eq!(
        metric(&text, "rds_auth_proxy_refused_total{fault=\"hop\",reason=\"unreachable\",target=\"db-1\"}"),
        1
    );
    world.stop().await;
}

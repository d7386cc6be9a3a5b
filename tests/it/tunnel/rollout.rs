use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::api_server::{Port, StreamEnd};
use super::cluster::Cluster;
use super::tunnelled;
use crate::support::ports::free_port;
use crate::support::proxy::Proxy;
use crate::support::raw::{self, Raw, Refusal};
use crate::support::world::Running;

/// The limit for the error of a lost session. The keepalive alone would take a minute.
const SOON: Duration = Duration::from_secs(10);

async fn log_in(world: &Running) -> Raw {
    Raw::session(world.client().port(), "alice").await
}

/// The error that ends an idle session.
async fn session_error(session: &mut Raw) -> Refusal {
    let start = Instant::now();
    let error = session.ready().await.unwrap_err();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(session.message().await.is_none(), "the connection is closed after the error");
    error
}

#[tokio::test]
async fn sessions_of_a_lost_pod_are_notified_and_the_next_one_works() {
    let ends = [
        ("closes", StreamEnd::Closed, ""),
        (
            "fails",
            StreamEnd::Error("lost connection to pod".to_owned()),
            " (the stream to pod fails failed: lost connection to pod)",
        ),
        ("cut", StreamEnd::Cut, " (the connection to the API server failed: "),
    ];
    for (pod, end, reason) in ends {
        let cluster = Cluster::start().await;
        let world = tunnelled(&cluster).start().await;
        world.add_secret(&cluster.token);
        cluster.add(pod, world.server());
        let mut lost = log_in(&world).await;
        cluster.remove(pod);
        cluster.add("another", world.server());
        let mut other = log_in(&world).await;
        cluster.api.end_streams(pod, end);
        let error = session_error(&mut lost).await;
        assert_eq!(error.sqlstate(), "08006");
        let start = format!(
            "rds-auth-proxy: the connection to the upstream proxy default (pod {pod}) was lost{reason}"
        );
        assert!(error.message().starts_with(&start), "{error:?}");
        assert!(error.message().ends_with("; what a running statement did is not known"), "{error:?}");
        assert_eq!(other.query("select 1").await.unwrap(), "1", "a session in another pod goes on");
        assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
        world.stop().await;
    }
}

/// As when a node runs out of memory: the server is gone before its pod is marked.
#[tokio::test]
async fn a_killed_server_ends_only_its_own_sessions() {
    let cluster = Cluster::start().await;
    let world = tunnelled(&cluster).start().await;
    world.add_secret(&cluster.token);
    let mut doomed = world.start_proxy(world.server_launch()).await;
    cluster.add("doomed", &doomed);
    let mut idle = log_in(&world).await;
    let mut busy = log_in(&world).await;
    busy.send(&raw::query("select pg_sleep(120)")).await;
    cluster.add("healthy", world.server());
    doomed.kill();
    for session in [&mut idle, &mut busy] {
        let error = session_error(session).await;
        assert_eq!(error.sqlstate(), "08006");
        assert!(
            error.message().contains("the connection to the upstream proxy default (pod doomed) was lost"),
            "{error:?}"
        );
    }
    for _ in 0..4 {
        // The list still says that the pod is ready.
        assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    }
    world.stop().await;
}

/// A kubelet accepts a stream before it dials the port. With a slow kubelet the stream is open before the refusal.
#[tokio::test]
async fn a_pod_that_refuses_late_is_skipped() {
    let cluster = Cluster::start().await;
    let world = tunnelled(&cluster).start().await;
    world.add_secret(&cluster.token);
    cluster.add_pod("gone", Port::Listener(([127, 0, 0, 1], free_port()).into()));
    cluster.api.cluster().dial_delay = Duration::from_millis(300);
    let refused = world.refusal("alice").await;
    assert_eq!(refused.code().code(), "57P03");
    let start = "rds-auth-proxy: the upstream proxy default cannot be reached: pod gone refuses connections on port 8000: ";
    assert!(refused.message().starts_with(start), "{refused}");

    cluster.add("healthy", world.server());
    for _ in 0..4 {
        assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    }
    let forwards = cluster.forwards();
    assert!(forwards.iter().filter(|pod| *pod == "gone").count() > 1, "the pod was not tried: {forwards:?}");
    world.stop().await;
}

/// Each of two pods is replaced twice: the new pod is ready before the old one is marked, the old server stops like a
/// container, and its pod disappears. Meanwhile psql connects again and again. A client that listed the pod just before it
/// was marked reaches it within `shutdown_delay`, on a busy machine too.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_fails_no_connection() {
    let cluster = Cluster::start().await;
    let world = tunnelled(&cluster).with_server("proxy: {shutdown_delay: 4s}").start().await;
    world.add_secret(&cluster.token);
    let mut pods: Vec<(String, Proxy)> = Vec::new();
    for name in ["old-1", "old-2"] {
        pods.push((name.to_owned(), new_pod(&world, &cluster, name).await));
    }
    let rolled = Arc::new(AtomicBool::new(false));
    let connecting = async {
        let mut count = 0;
        while count < 50 || !rolled.load(Ordering::Relaxed) {
            let answer = world.psql("alice", "select 1").await;
            assert_eq!(answer.as_deref(), Ok("1"), "connection {count}");
            count += 1;
        }
        count
    };
    let rolling = async {
        for number in 1..=4 {
            let fresh = format!("new-{number}");
            let server = new_pod(&world, &cluster, &fresh).await;
            pods.push((fresh, server));
            let (old, mut server) = pods.remove(0);
            cluster.terminate(&old);
            server.stop().await;
            cluster.remove(&old);
        }
        rolled.store(true, Ordering::Relaxed);
    };
    let (count, ()) = tokio::join!(connecting, rolling);
    println!("{count} connections, none failed");
    let forwards = cluster.forwards();
    assert!(forwards.iter().any(|pod| pod.starts_with("old-")), "{forwards:?}");
    assert!(forwards.iter().any(|pod| pod.starts_with("new-")), "{forwards:?}");
    world.stop().await;
}

async fn new_pod(world: &Running, cluster: &Cluster, name: &str) -> Proxy {
    let server = world.start_proxy(world.server_launch()).await;
    cluster.add(name, &server);
    server
}

/// A deployment of one pod has no ready pod for a moment. A connection waits then and does not fail.
#[tokio::test]
async fn a_connection_waits_for_the_next_pod() {
    let cluster = Cluster::start().await;
    let world: Running = tunnelled(&cluster).start().await;
    world.add_secret(&cluster.token);
    cluster.add("leaving", world.server());
    cluster.terminate("leaving");
    let waiting = async {
        let start = Instant::now();
        assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
        assert!(start.elapsed() > Duration::from_secs(2), "{:?}", start.elapsed());
    };
    let replacing = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        cluster.add("arriving", world.server());
    };
    tokio::join!(waiting, replacing);
    assert_eq!(cluster.forwards(), ["arriving"]);
    world.stop().await;
}

/// The Role of an earlier chart has no `watch` on pods.
#[tokio::test]
async fn a_role_without_watch_is_reported_once() {
    let cluster = Cluster::start().await;
    let world: Running = tunnelled(&cluster).start().await;
    world.add_secret(&cluster.token);
    cluster.add("pod-1", world.server());
    let (pods, portforward): (&[&str], &[&str]) = (&["get", "list"], &["get", "create"]);
    cluster.api.cluster().rights.role = Some([("pods", pods), ("pods/portforward", portforward)].into());
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    let text = "the role in the cluster has no verb \"watch\" on pods";
    world.client().wait_for_log(text).await;
    for _ in 0..3 {
        assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    }
    assert_eq!(world.client().log().matches(text).count(), 1);
    world.stop().await;
}

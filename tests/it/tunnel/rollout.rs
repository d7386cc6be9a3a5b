use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::api_server::{Death, Port};
use super::cluster::Cluster;
use super::tunnelled;
use crate::support::ports::free_port;
use crate::support::proxy::Proxy;
use crate::support::raw::{self, Raw, Refusal};
use crate::support::world::Running;

/// How soon an application has to know that its session is lost; whom nobody tells notices after a minute.
const SOON: Duration = Duration::from_secs(10);

async fn log_in(world: &Running) -> Raw {
    Raw::session(world.client().port(), "alice").await
}

/// The last words to an application that said nothing itself.
async fn last_words(session: &mut Raw) -> Refusal {
    let start = Instant::now();
    let words = session.ready().await.unwrap_err();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(session.message().await.is_none(), "then the connection is closed");
    words
}

#[tokio::test]
async fn sessions_of_a_lost_pod_are_told_and_the_next_one_works() {
    let cluster = Cluster::start().await;
    let world = tunnelled(&cluster).start().await;
    world.add_secret(&cluster.token);
    let deaths = [
        ("closes", Death::Closed, ""),
        (
            "fails",
            Death::Error("lost connection to pod".to_owned()),
            " (the stream to pod fails failed: lost connection to pod)",
        ),
        ("cut", Death::Cut, " (the connection to the API server failed: "),
    ];
    for (pod, death, reason) in deaths {
        cluster.add(pod, world.server());
        let mut lost = log_in(&world).await;
        cluster.remove(pod);
        cluster.add("another", world.server());
        let mut other = log_in(&world).await;
        cluster.api.kill(pod, death);
        let words = last_words(&mut lost).await;
        assert_eq!(words.sqlstate(), "08006");
        let start = format!("rds-auth-proxy: the connection to the upstream proxy default was lost{reason}");
        assert!(words.message().starts_with(&start), "{words:?}");
        assert!(words.message().ends_with("; what a running statement did is not known"), "{words:?}");
        assert_eq!(other.query("select 1").await.unwrap(), "1", "a session in another pod goes on");
        assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
        cluster.remove("another");
    }
    assert_eq!(cluster.forwards().len(), 9);
    world.stop().await;
}

/// As when a node runs out of memory: the server is gone before anybody marks its pod.
#[tokio::test]
async fn a_server_that_is_killed_takes_only_its_sessions_along() {
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
        let words = last_words(session).await;
        assert_eq!(words.sqlstate(), "08006");
        assert!(
            words.message().contains("the connection to the upstream proxy default was lost"),
            "{words:?}"
        );
    }
    for _ in 0..4 {
        // The list still says that the pod is ready.
        assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    }
    world.stop().await;
}

/// Kubelets accept a stream before they dial the port, and some take their time: the stream counts as open by then.
#[tokio::test]
async fn a_pod_that_refuses_late_is_passed_over_as_well() {
    let cluster = Cluster::start().await;
    let world = tunnelled(&cluster).start().await;
    world.add_secret(&cluster.token);
    cluster.add_pod("gone", Port::Listener(([127, 0, 0, 1], free_port()).into()));
    cluster.api.cluster().dial_delay = Duration::from_millis(300);
    let refused = world.refusal("alice").await;
    assert_eq!(refused.code().code(), "08001");
    let start = "rds-auth-proxy: the upstream proxy default cannot be reached: pod gone refuses connections on port 8000: ";
    assert!(refused.message().starts_with(start), "{refused}");

    cluster.add("healthy", world.server());
    for _ in 0..4 {
        assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    }
    let forwards = cluster.forwards();
    assert!(forwards.iter().filter(|pod| *pod == "gone").count() > 1, "it was never tried: {forwards:?}");
    world.stop().await;
}

/// Each of two pods is replaced twice: the new one is ready before the old one is marked, the old server is told to
/// stop like a container, and its pod vanishes. Meanwhile psql connects again and again. Who has seen the pod in the list
/// just before it was marked gets to it within `shutdown_delay`, on a busy machine too.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_rolled_and_no_connection_fails() {
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

/// A deployment of one pod has none for a moment: who connects then waits instead of failing.
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

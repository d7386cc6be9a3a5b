use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rds_auth_proxy::catalog::Dial;
use rds_auth_proxy::catalog::{Pods, PortForward};
use rds_auth_proxy::kubernetes::{Timeouts, Tunnel};
use serde_json::json;

use super::api_server::{Port, Rights, Watching};
use super::world::{LIMIT, World, echoing, name, pod, short_timeouts};

/// The requests so far for lists of pods and for services.
fn lists(world: &World) -> usize {
    world.api.cluster().requests.iter().filter(|path| !path.ends_with("/portforward")).count()
}

/// Each connection opens its stream itself.
fn without_spare_stream() -> Timeouts {
    Timeouts { spare_stream: Duration::ZERO, ..short_timeouts() }
}

/// Dials until the stream leads to this pod.
async fn reach(tunnel: &dyn Dial, pod: &str) {
    let start = Instant::now();
    while name(tunnel).await != pod {
        assert!(start.elapsed() < LIMIT, "the tunnel never used the pod {pod}");
    }
}

pub(crate) async fn wait_for_watch(world: &World, count: usize) {
    let start = Instant::now();
    while world.api.cluster().watches < count {
        assert!(start.elapsed() < LIMIT, "the tunnel does not watch");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The response is on its way.
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_list_serves_all_connections() {
    let world = World::new().await;
    let _one = world.pod("one").await;
    let labels = json!({"app.kubernetes.io/name": "proxy"});
    world.api.cluster().services.insert("db".to_owned(), labels);
    for (pods, expected) in [(world.settings().pods, 1), (Pods::Service("db".to_owned()), 2)] {
        world.api.cluster().requests.clear();
        let watches = world.api.cluster().watches;
        let settings = PortForward { pods, ..world.settings() };
        let tunnel = Tunnel::with_timeouts(settings, short_timeouts());
        assert_eq!(name(&tunnel).await, "one");
        wait_for_watch(&world, watches + 1).await;
        for _ in 0..10 {
            assert_eq!(name(&tunnel).await, "one");
        }
        let _two = world.pod("two").await;
        reach(&tunnel, "two").await;
        world.change("two", |pod| pod.terminating = true);
        tokio::time::sleep(Duration::from_millis(300)).await;
        for _ in 0..4 {
            assert_eq!(name(&tunnel).await, "one");
        }
        world.api.cluster().pods.retain(|pod| pod.name != "two");
        assert_eq!(lists(&world), expected);
        assert_eq!(world.api.cluster().watches, watches + 1);
    }
}

/// The Role that the Kubernetes guide had before has no `watch`. Everything works as without a watch.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_verb_each_connection_lists() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let (pods, portforward): (&[&str], &[&str]) = (&["get", "list"], &["get", "create"]);
    let role = Some([("pods", pods), ("pods/portforward", portforward)].into());
    world.api.cluster().rights = Rights { role, ..Rights::default() };
    let tunnel = world.tunnel();
    for _ in 0..5 {
        assert_eq!(name(&*tunnel).await, "p");
    }
    assert_eq!(lists(&world), 5);
}

/// A watch may be behind, and its path may be dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_out_of_date_costs_no_connection() {
    let world = World::new().await;
    let mut first = world.pod("first").await;
    let tunnel = Tunnel::with_timeouts(world.settings(), without_spare_stream());
    assert_eq!(name(&tunnel).await, "first");
    wait_for_watch(&world, 1).await;
    world.api.cluster().watching = Watching::Silent;
    world.api.cluster().pods.clear();
    first.close().await;
    let second = world.pod("second").await;
    assert_eq!(name(&tunnel).await, "second", "the pod of the watch is gone");

    wait_for_watch(&world, 2).await;
    let mut closed = second;
    closed.close().await;
    world.change("second", |pod| pod.ready = false);
    let _third = world.pod("third").await;
    world.api.cluster().dial_delay = Duration::from_millis(100);
    // The refusal comes after the stream was opened, so a session dials once more.
    let mut stream = tunnel.dial(LIMIT).await.unwrap().socket;
    let mut byte = [0];
    let error = tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(name(&tunnel).await, "third");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_ends_is_replaced_when_it_is_needed() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().watching = Watching::Until(Duration::from_millis(2500));
    let tunnel = world.tunnel();
    name(&*tunnel).await;
    wait_for_watch(&world, 1).await;
    name(&*tunnel).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.api.cluster().watches, 2, "a connection has used the first one");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.api.cluster().watches, 2, "no connection has used the second one");
    let _new = world.pod("new").await;
    world.api.cluster().pods.retain(|pod| pod.name == "new");
    assert_eq!(name(&*tunnel).await, "new");
    assert_eq!(lists(&world), 2);
    wait_for_watch(&world, 3).await;
}

/// The websocket takes its connection with it, so the next one needs another, which is ready by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_waits_for_no_tls_handshake() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let timeouts = Timeouts { answer: Duration::from_secs(5), ..without_spare_stream() };
    let tunnel = Tunnel::with_timeouts(world.settings(), timeouts);
    let delay = Duration::from_secs(1);
    world.api.cluster().tls_delay = delay;
    let mut streams = vec![echoing(&tunnel).await.unwrap()];
    for _ in 0..3 {
        tokio::time::sleep(delay * 2).await;
        let start = Instant::now();
        streams.push(echoing(&tunnel).await.unwrap());
        assert!(start.elapsed() < delay / 2, "{:?}", start.elapsed());
    }
    tokio::time::sleep(delay * 2).await;
    // Four websockets, the watch, and the spare one.
    assert_eq!(world.api.accepted.load(Ordering::Relaxed), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_leaves_no_watch_behind() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let tunnel = world.tunnel();
    name(&*tunnel).await;
    wait_for_watch(&world, 1).await;
    drop(tunnel);
    let start = Instant::now();
    while world.api.open() > 0 {
        assert!(start.elapsed() < LIMIT, "a connection stays open");
        // The API server notices the end of a watch when it sends an event.
        world.add(pod("later", Port::Gone));
        world.change("later", |pod| pod.created += 1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rds_auth_proxy::kubernetes::{Timeouts, Tunnel};

use super::api_server::{Port, StreamEnd};
use super::backend::Backend;
use super::watch::wait_for_watch;
use super::world::{LIMIT, World, echoing, short_timeouts};

/// A tunnel that keeps a stream for this time.
fn tunnel(world: &World, spare_stream: Duration) -> Tunnel {
    Tunnel::with_timeouts(world.settings(), Timeouts { spare_stream, ..short_timeouts() })
}

fn streams(backend: &Backend) -> usize {
    backend.accepted.load(Ordering::Relaxed)
}

async fn wait_for_streams(backend: &Backend, count: usize) {
    let start = Instant::now();
    while streams(backend) < count {
        assert!(start.elapsed() < LIMIT, "{} streams of {count}", streams(backend));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The tunnel has not seen the stream yet.
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// A tunnel that has a stream for the next connection, the third one. The pod has three streams.
async fn busy(world: &World, backend: &Backend, keep: Duration) -> Tunnel {
    let tunnel = tunnel(world, keep);
    echoing(&tunnel).await.unwrap();
    wait_for_watch(world, 1).await;
    echoing(&tunnel).await.unwrap();
    wait_for_streams(backend, 3).await;
    tunnel
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_of_several_connections_finds_a_stream() {
    let world = World::new().await;
    let backend = world.pod("p").await;
    let tunnel = busy(&world, &backend, LIMIT).await;
    world.api.cluster().delay = Duration::from_secs(1);
    let start = Instant::now();
    echoing(&tunnel).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    assert_eq!(streams(&backend), 3);
    // The third connection has ordered the stream of the fourth.
    wait_for_streams(&backend, 4).await;
    let start = Instant::now();
    echoing(&tunnel).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_open_is_not_waited_for() {
    let world = World::new().await;
    let backend = world.pod("p").await;
    let tunnel = busy(&world, &backend, LIMIT).await;
    let set_port = |port| world.change("p", |pod| pod.port = port);
    set_port(Port::Silent);
    echoing(&tunnel).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    set_port(Port::Listener(backend.address));
    let start = Instant::now();
    echoing(&tunnel).await.unwrap();
    // Less than the limit for the answer of the API server.
    assert!(start.elapsed() < Duration::from_millis(1900), "{:?}", start.elapsed());
    assert_eq!(streams(&backend), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_connection_opens_no_second_stream() {
    let world = World::new().await;
    let backend = world.pod("p").await;
    let tunnel = tunnel(&world, Duration::from_millis(500));
    for count in 1..4 {
        echoing(&tunnel).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(streams(&backend), count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_a_connection_is_closed() {
    let world = World::new().await;
    let backend = world.pod("p").await;
    let keep = Duration::from_secs(2);
    let tunnel = busy(&world, &backend, keep).await;
    let open = world.api.open();
    tokio::time::sleep(keep * 2).await;
    assert_eq!(world.api.open(), open - 1);
    echoing(&tunnel).await.unwrap();
    assert_eq!(streams(&backend), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_its_pod_has_ended_is_not_used() {
    for end in [StreamEnd::Closed, StreamEnd::Error("gone".to_owned()), StreamEnd::Cut] {
        let world = World::new().await;
        let backend = world.pod("p").await;
        let tunnel = busy(&world, &backend, LIMIT).await;
        world.api.end_streams("p", end);
        tokio::time::sleep(Duration::from_millis(200)).await;
        echoing(&tunnel).await.unwrap();
        assert!(streams(&backend) > 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_kubeconfig_uses_no_stream_of_the_identity_before() {
    let world = World::new().await;
    let backend = world.pod("p").await;
    let tunnel = busy(&world, &backend, LIMIT).await;
    world.user("{token: other}");
    echoing(&tunnel).await.unwrap();
    assert!(streams(&backend) > 3);
}

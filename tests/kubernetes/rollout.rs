use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rds_auth_proxy::catalog::Dial;
use rds_auth_proxy::catalog::Pods;
use rds_auth_proxy::kubernetes::{Timeouts, Tunnel};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::api_server::{Port, StreamEnd};
use super::backend::Backend;
use super::ports::free_port;
use super::world::{LIMIT, World, echo, echoing, name, pod, refusal_timeouts, short_timeouts};

/// After this silence the keepalive ends a stream. Every other error comes sooner.
const SILENCE: Duration = Duration::from_mins(1);

/// A tunnel that waits for a pod as long as a login may take.
fn patient_tunnel(world: &World) -> Tunnel {
    let wait_for_right = Duration::from_secs(5);
    Tunnel::with_timeouts(
        world.settings(),
        Timeouts { wait_for_pod: LIMIT, wait_for_right, ..short_timeouts() },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_spread_over_the_ready_pods() {
    let world = World::new().await;
    let _one = world.pod("one").await;
    let _two = world.pod("two").await;
    let tunnel = world.tunnel();
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(name(&*tunnel).await);
    }
    names.sort();
    assert_eq!(names, ["one", "one", "two", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminating_pod_is_never_picked() {
    let world = World::new().await;
    let leaving = world.pod("leaving").await;
    let _staying = world.pod("staying").await;
    world.change("leaving", |pod| {
        pod.terminating = true;
        pod.created = 100;
    });
    let tunnel = world.tunnel();
    for _ in 0..20 {
        assert_eq!(name(&*tunnel).await, "staying");
    }
    assert_eq!(leaving.accepted.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_pod_is_skipped() {
    let world = World::new().await;
    world.add(pod("gone", Port::Gone));
    world.add(pod("unreachable", Port::NoKubelet));
    let mut closed = world.pod("closed").await;
    closed.close().await;
    let _good = world.pod("good").await;
    let tunnel = Tunnel::with_timeouts(world.settings(), refusal_timeouts());
    for _ in 0..8 {
        assert_eq!(name(&tunnel).await, "good");
    }
}

/// A node without power stays ready for 40 s. Half of the connections begin with its pod.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_on_a_silent_node_is_skipped() {
    let world = World::new().await;
    world.add(pod("silent", Port::Silent));
    let _good = world.pod("good").await;
    // Enough for sixteen handshakes at a time on a busy machine.
    let timeouts = Timeouts { answer: Duration::from_secs(4), ..short_timeouts() };
    let tunnel = Arc::new(Tunnel::with_timeouts(world.settings(), timeouts));
    let dials: Vec<_> = (0..16)
        .map(|_| {
            let tunnel = Arc::clone(&tunnel);
            tokio::spawn(async move { name(&*tunnel).await })
        })
        .collect();
    for dial in dials {
        assert_eq!(dial.await.unwrap(), "good");
    }
}

/// A deployment without pods, which is recreated or scaled up from zero, looks like a wrong name.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_waits_for_the_first_pod_of_a_deployment() {
    let world = World::new().await;
    let tunnel = patient_tunnel(&world);
    let waiting = tokio::spawn(async move { name(&tunnel).await });
    // Half of the wait, and enough for many lists.
    tokio::time::sleep(LIMIT / 2).await;
    assert!(!waiting.is_finished());
    let _first = world.pod("first").await;
    assert_eq!(waiting.await.unwrap(), "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_waits_until_a_pod_is_ready() {
    let world = World::new().await;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut late = pod("late", Port::Listener(address));
    late.phase = "Pending";
    late.ready = false;
    world.add(late);
    let tunnel = patient_tunnel(&world);
    let waiting = tokio::spawn(async move { name(&tunnel).await });
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(!waiting.is_finished());
    world.change("late", |pod| pod.phase = "Running");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(!waiting.is_finished(), "the pod runs and does not listen");
    let _backend = Backend::start_at("late", address).await;
    world.change("late", |pod| pod.ready = true);
    assert_eq!(waiting.await.unwrap(), "late");
}

/// Kubernetes marks the pods of a node whose status is `Unknown` as not ready while they run. `kubectl port-forward` reaches
/// them at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_runs_and_is_not_ready_is_the_last_resort() {
    let world = World::new().await;
    let unready = world.pod("unready").await;
    world.change("unready", |pod| (pod.ready, pod.created) = (false, 100));
    let tunnel = world.tunnel();
    assert_eq!(name(&*tunnel).await, "unready");
    let mut ready = world.pod("ready").await;
    let before = unready.accepted.load(Ordering::Relaxed);
    for _ in 0..4 {
        assert_eq!(name(&*tunnel).await, "ready");
    }
    assert_eq!(unready.accepted.load(Ordering::Relaxed), before, "a ready pod comes first");
    ready.close().await;
    let tunnel = Tunnel::with_timeouts(world.settings(), refusal_timeouts());
    assert_eq!(name(&tunnel).await, "unready", "the ready pod refuses");
    assert_eq!(world.api.cluster().pods.len(), 2);
}

/// A pod that starts again after a crash is not ready, and a slow kubelet refuses its port only after the stream was opened.
/// The connection waits until it listens.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_waits_for_a_pod_that_refuses_late_and_is_not_ready() {
    let world = World::new().await;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    world.add(pod("p", Port::Listener(address)));
    world.change("p", |pod| pod.ready = false);
    world.api.cluster().dial_delay = Duration::from_millis(200);
    let tunnel = patient_tunnel(&world);
    let waiting = tokio::spawn(async move { name(&tunnel).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!waiting.is_finished());
    let _backend = Backend::start_at("p", address).await;
    assert_eq!(waiting.await.unwrap(), "p");
}

/// As while a control plane is upgraded. `kubectl` fails at once, an application should only see a slow connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_waits_for_an_api_server_that_restarts() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    world.kubeconfig(&format!("https://{address}"), "{}", "");
    let tunnel = patient_tunnel(&world);
    let waiting = tokio::spawn(async move { name(&tunnel).await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!waiting.is_finished(), "the API server refuses connections");
    // It drops its first connections in the middle of TLS, and knows no roles for a moment.
    let (relay, _dropping) = dropping_relay(address, world.api.address, 2).await;
    let message = "pods is forbidden: User \"dev\" cannot list resource \"pods\" in API group \"\" in the namespace \"apps\"";
    world.api.cluster().forbidden = [("pods".to_owned(), message.to_owned())].into();
    while relay.load(Ordering::Relaxed) < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!waiting.is_finished());
    world.api.cluster().forbidden.clear();
    assert_eq!(waiting.await.unwrap(), "p");
}

/// A relay at `address` that closes its first connections at once. Returns the number of connections so far.
async fn dropping_relay(
    address: SocketAddr,
    to: SocketAddr,
    dropped: usize,
) -> (Arc<AtomicUsize>, tokio::task::JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&count);
    let mut running = tokio::task::JoinSet::new();
    running.spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            if accepted.fetch_add(1, Ordering::Relaxed) < dropped {
                continue;
            }
            drop(tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(to).await.unwrap();
                // Errors reach both ends.
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            }));
        }
    });
    (count, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_a_busy_api_server_is_retried() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().busy = 3;
    assert_eq!(name(&patient_tunnel(&world)).await, "p");
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_and_services_select_pods() {
    let world = World::new().await;
    let _deployment = world.pod("proxy").await;
    let other = Backend::start("other").await;
    let mut labelled = pod("other", Port::Listener(other.address));
    labelled.labels = vec![("app".to_owned(), "other".to_owned()), ("tier".to_owned(), "db".to_owned())];
    world.add(labelled);
    world.api.cluster().services.insert("other-service".to_owned(), json!({"app": "other", "tier": "db"}));
    for pods in [Pods::Selector("app=other,tier=db".to_owned()), Pods::Service("other-service".to_owned())] {
        let tunnel = Tunnel::with_timeouts(settings(&world, pods), short_timeouts());
        assert_eq!(name(&tunnel).await, "other");
    }
}

fn settings(world: &World, pods: Pods) -> rds_auth_proxy::catalog::PortForward {
    rds_auth_proxy::catalog::PortForward { pods, namespace: Some("elsewhere".to_owned()), ..world.settings() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_namespace_is_the_configured_one_or_the_one_of_the_context() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    name(&*world.tunnel()).await;
    name(&Tunnel::with_timeouts(settings(&world, world.settings().pods), short_timeouts())).await;
    let requests = std::mem::take(&mut world.api.cluster().requests);
    assert_eq!(
        requests,
        [
            "/api/v1/namespaces/apps/pods",
            "/api/v1/namespaces/apps/pods/p/portforward",
            "/api/v1/namespaces/elsewhere/pods",
            "/api/v1/namespaces/elsewhere/pods/p/portforward",
        ]
    );
}

/// A refusal in the pod does not end other streams. (It would end `kubectl port-forward`.)
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_affect_other_sessions() {
    let world = World::new().await;
    let mut backend = world.pod("p").await;
    let tunnel = Tunnel::with_timeouts(world.settings(), refusal_timeouts());
    let mut session = echoing(&tunnel).await.unwrap();
    backend.close().await;
    let error = tunnel.dial(LIMIT).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().starts_with("pod p refuses connections on port 8000: "), "{error}");
    echo(&mut session, "still here").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_lost_pod_end_immediately() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let tunnel = world.tunnel();
    let ends = [
        (
            StreamEnd::Error("lost connection to pod".to_owned()),
            "the stream to pod p failed: lost connection to pod",
        ),
        (StreamEnd::Cut, "the connection to the API server failed: "),
    ];
    for (end, text) in ends {
        let mut session = echoing(&*tunnel).await.unwrap();
        world.api.end_streams("p", end);
        let start = Instant::now();
        let error = session.read(&mut [0]).await.unwrap_err();
        assert!(error.to_string().starts_with(text), "{error}");
        assert!(start.elapsed() < SILENCE / 4, "{:?}", start.elapsed());
        let error = session.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        echoing(&*tunnel).await.expect("the next connection works");
    }
    let mut session = echoing(&*tunnel).await.unwrap();
    world.api.end_streams("p", StreamEnd::Closed);
    assert_eq!(
        session.read(&mut [0]).await.unwrap(),
        0,
        "a pod that closes in order ends the stream without an error"
    );
}

/// A reset after a local close is no error: PostgreSQL often resets a TLS connection that the client closed.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_a_local_close_ends_the_stream() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let mut session = echoing(&*world.tunnel()).await.unwrap();
    session.shutdown().await.unwrap();
    world.api.end_streams("p", StreamEnd::Error("read: connection reset by peer".to_owned()));
    assert_eq!(session.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locally_closed_stream_ends_after_the_linger_time() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let timeouts = Timeouts { linger: Duration::from_millis(300), ..short_timeouts() };
    let usual = short_timeouts().linger;
    let mut session = echoing(&Tunnel::with_timeouts(world.settings(), timeouts)).await.unwrap();
    session.shutdown().await.unwrap();
    let start = Instant::now();
    assert_eq!(session.read(&mut [0]).await.unwrap(), 0);
    assert!(start.elapsed() < usual / 2, "{:?}", start.elapsed());
}

/// Two pods are replaced one after the other, again and again: a new pod starts and becomes ready, the old one stops
/// listening, is marked as terminating and disappears from the list. No connection fails meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_fails_no_connection() {
    let world = World::new().await;
    let tunnel = patient_tunnel(&world);
    let mut backends = vec![
        (String::from("old-0"), world.pod("old-0").await),
        (String::from("old-1"), world.pod("old-1").await),
    ];
    let connecting = tokio::spawn(async move {
        for number in 0..200 {
            let mut stream = loop {
                match echoing(&tunnel).await {
                    Ok(stream) => break stream,
                    // A late refusal: a session dials again.
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                    Err(error) => panic!("connection {number}: {error}"),
                }
            };
            echo(&mut stream, "query").await.unwrap();
        }
    });
    for round in 0.. {
        if connecting.is_finished() {
            break;
        }
        let (old, mut backend) = backends.remove(0);
        // On a fast node the listener closes before the list changes.
        let fresh = format!("new-{round}");
        let starting = Backend::start(&fresh).await;
        let mut newcomer = pod(&fresh, Port::Listener(starting.address));
        newcomer.ready = false;
        newcomer.created = round + 1;
        world.add(newcomer);
        tokio::time::sleep(Duration::from_millis(60)).await;
        world.change(&fresh, |pod| pod.ready = true);
        backend.close().await;
        tokio::time::sleep(Duration::from_millis(60)).await;
        world.change(&old, |pod| pod.terminating = true);
        tokio::time::sleep(Duration::from_millis(60)).await;
        world.api.cluster().pods.retain(|pod| pod.name != old);
        backends.push((fresh, starting));
    }
    connecting.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_pod_may_be_replaced() {
    let world = World::new().await;
    let mut first = world.pod("first").await;
    let tunnel = patient_tunnel(&world);
    assert_eq!(name(&tunnel).await, "first");
    world.change("first", |pod| pod.terminating = true);
    first.close().await;
    let waiting = tokio::spawn(async move { name(&tunnel).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let _second = world.pod("second").await;
    assert_eq!(waiting.await.unwrap(), "second");
}

/// The stream is open before a slow kubelet dials. Its first read reports the refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_refusal_is_reported_as_a_refusal() {
    let world = World::new().await;
    let mut backend = world.pod("p").await;
    backend.close().await;
    world.api.cluster().dial_delay = Duration::from_secs(3);
    let mut stream = world.tunnel().dial(LIMIT).await.unwrap().socket;
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().starts_with("pod p refuses connections on port 8000: "), "{error}");
}

//! The tunnel: a client whose upstream proxy is a pod behind a Kubernetes API.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tokio::process::Child;

use crate::cancel::{expect_cancelled, request_cancel, sleeper};
use crate::support::builder::World;
use crate::support::raw::Raw;
use crate::support::roles::DATABASE;
use crate::support::world::Running;
use cluster::Cluster;

/// The fake API server with its kubelets.
#[path = "../kubernetes/api_server.rs"]
#[allow(dead_code, reason = "the tests in tests/kubernetes use all of it")]
mod api_server;
/// The certificates of the fake API server.
#[path = "../kubernetes/pki.rs"]
#[allow(dead_code, reason = "the tests in tests/kubernetes use all of it")]
mod pki;

/// The check of the tunnel at the start of a client.
mod check;
/// A cluster in which the servers of a world run.
pub(crate) mod cluster;
/// The errors that the application reads when no pod can be reached.
mod errors;
/// The ports that the client opens on this machine.
#[cfg(target_os = "linux")]
mod listeners;
/// The metrics of the tunnel.
mod metrics;
/// A network to the API that is slow, breaks or falls silent.
mod network;
/// Rollouts and lost pods.
mod rollout;
/// TLS inside the tunnel.
mod tls;

/// A world whose client reaches the server through the tunnel into `cluster`.
pub(crate) fn tunnelled(cluster: &Cluster) -> World {
    World::new().with_client(&cluster.upstream("default")).with_env("RUST_LOG", "trace")
}

/// A world with its cluster, in which the server is the pod `pod-1`.
async fn world_of_one_pod() -> (Cluster, Running) {
    let cluster = Cluster::start().await;
    let plain = "upstream_proxies: {plain: {host: 'localhost:<server-port>', ssl: {mode: disable}}}";
    let world = tunnelled(&cluster).with_client(plain).start().await;
    world.add_secret(&cluster.token);
    cluster.add("pod-1", world.server());
    (cluster, world)
}

#[tokio::test]
async fn an_iam_user_logs_in_through_the_tunnel() {
    let (cluster, world) = world_of_one_pod().await;
    let answer = world.psql("alice", "select current_user || '@' || current_database()").await.unwrap();
    assert_eq!(answer, "alice@app");
    assert!(world.rds().tokens()[0].contains(&world.key.id));
    // The log has the level trace.
    world.client().wait_for_log("opened a stream to a pod").await;
    assert_eq!(
        cluster.api.cluster().requests,
        ["/api/v1/namespaces/apps/pods", "/api/v1/namespaces/apps/pods/pod-1/portforward"]
    );
    world.stop().await;
}

#[tokio::test]
async fn the_client_key_of_the_kubeconfig_stays_secret() {
    let (cluster, world) = world_of_one_pod().await;
    let key = cluster.log_in_with_certificate();
    for line in key.lines().filter(|line| line.len() >= 16 && !line.starts_with("---")) {
        world.add_secret(line);
    }
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    world.stop().await;
}

/// The output of a plugin is a credential, and its environment may hold another one.
#[tokio::test]
async fn the_output_of_a_credential_plugin_stays_secret() {
    let (cluster, world) = world_of_one_pod().await;
    let secrets = cluster.log_in_with_plugin();
    for secret in &secrets {
        world.add_secret(secret);
    }
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    cluster.api.cluster().tokens = Some(vec!["another-token".to_owned()]);
    let refused = world.refusal("alice").await;
    assert!(refused.message().contains("(401)"), "{refused}");
    world.stop().await;
}

#[tokio::test]
async fn a_running_query_is_cancelled_through_the_tunnel() {
    let (cluster, world) = world_of_one_pod().await;
    let sql = "select pg_sleep(120) /* through the tunnel */";
    let mut psql = world.psql_command(world.client(), "alice");
    let psql = psql.args(["-c", sql]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_until_it_runs(&world, sql).await;
    interrupt(&psql);
    let output = tokio::time::timeout(Duration::from_mins(1), psql.wait_with_output()).await;
    let error = String::from_utf8_lossy(&output.expect("psql does not exit").unwrap().stderr).into_owned();
    assert!(error.contains("canceling statement due to user request"), "{error}");
    assert_eq!(world.rds().cancels(), 1);
    // The session and the cancel request have one each; another may wait for the next connection.
    assert!(cluster.forwards().len() >= 2, "the cancel request has no separate stream");
    world.stop().await;
}

/// libpq waits for the end of the connection that carries its cancel request. The FIN of a pod arrives a second late
/// (containerd), so the end must not wait for it.
#[tokio::test]
async fn a_cancel_request_does_not_wait_for_the_end_of_the_stream() {
    for world in [World::new(), World::new().with_server_tls()] {
        let cluster = Cluster::start().await;
        let world =
            world.with_client(&cluster.upstream("default")).with_env("RUST_LOG", "trace").start().await;
        world.add_secret(&cluster.token);
        cluster.add("pod-1", world.server());
        let (mut session, key) = sleeper(&world, world.client()).await;
        cluster.api.cluster().fin_delay = Duration::from_secs(4);
        let start = Instant::now();
        request_cancel(world.client(), &key).await;
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        expect_cancelled(&mut session).await;
        world.client().wait_for_log("cancel request delivered").await;
        assert!(!world.client().log().contains("refused a cancel request"));
        drop(session);
        world.stop().await;
    }
}

async fn wait_until_it_runs(world: &Running, sql: &str) {
    let text = sql.replace('\'', "''");
    let running = format!("select 1 from pg_stat_activity where query = '{text}' and state = 'active'");
    for _ in 0..600 {
        if world.postgres.value(&running).await.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the query does not run: {sql}");
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
}

/// In a debug build the tunnel adds less to a login than one retry interval, so it does not wait for one. A round on a busy
/// machine is repeated. A tunnel that waits does so in every round.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_is_quick() {
    let (_cluster, world) = world_of_one_pod().await;
    let plain = world.start_client(&["--proxy-target", "plain"]).await;
    let (mut tunnel, mut tcp) = (Duration::MAX, Duration::ZERO);
    for round in 0..6 {
        let (mut through_tunnel, mut straight) = (Vec::new(), Vec::new());
        for _ in 0..15 {
            for (client, times) in [(world.client(), &mut through_tunnel), (&plain, &mut straight)] {
                let start = Instant::now();
                let session = Raw::log_in(client.port(), &[("user", "alice"), ("database", DATABASE)]).await;
                times.push(start.elapsed());
                drop(session.unwrap());
            }
        }
        through_tunnel.sort();
        straight.sort();
        (tunnel, tcp) = (through_tunnel[7], straight[7]);
        println!("a new login: p50 {tunnel:.1?} through the tunnel, {tcp:.1?} over TCP");
        // The first round is a warm-up.
        if round > 0 && tunnel < tcp + Duration::from_millis(400) {
            return world.stop().await;
        }
    }
    panic!("{tunnel:?} through the tunnel, {tcp:?} over TCP");
}

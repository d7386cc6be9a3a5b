//! Counters of connections, refusals, discovery refreshes and cancel requests.

use crate::credentials::client_with_file;
use crate::operations::{ADMIN, count, get, lines, until_counted, until_ready};
use crate::support::builder::World;
use crate::support::instance::Instance;
use crate::support::raw::{Message, Raw, Refusal, V3_0, startup};
use crate::support::roles::DATABASE;
use crate::support::runtime;
use crate::support::world::{Running, refusal};
use tokio_postgres::NoTls;

const CONNECTIONS: &str = "rds_auth_proxy_connections_total";
const REFRESHES: &str = "rds_auth_proxy_discovery_refreshes_total";
const CANCELS: &str = "rds_auth_proxy_cancel_requests_total{target=\"db-1\"}";

/// More connections without a startup packet than a server keeps pending.
const SILENT: u64 = 300;

fn refused(fault: &str, reason: &str, target: &str) -> String {
    format!("rds_auth_proxy_refused_total{{fault=\"{fault}\",reason=\"{reason}\",target=\"{target}\"}}")
}

#[tokio::test]
async fn a_server_counts_refused_connections_by_reason() {
    let limits = "{admin_addr: '127.0.0.1:0', max_connections: 2, handshake_timeout: 5s, \
        target_acl: {blocked_rds_tags: [{name: closed, value: 'yes'}]}}";
    let world = World::new().with_instance("db-1").with_instance(Instance::new("shut").tag("closed", "yes"));
    let world = world.with_server(&format!("proxy: {limits}")).without_client().start().await;
    let server = world.server();
    until_ready(server, 200).await;
    let before = get(server, "/metrics").await.1;
    assert_eq!(count(&before, "rds_auth_proxy_max_connections"), 2);
    assert_eq!(count(&before, CONNECTIONS), 0);
    // A counter that appears with its first burst shows Prometheus no increase.
    for reason in ["max_connections", "max_connections_per_peer", "aws_credentials", "list_too_old"] {
        for target in ["db-1", "other"] {
            let series = format!("{} 0\n", refused("proxy", reason, target));
            assert!(before.contains(&series), "{series}{before}");
        }
    }
    assert_eq!(count(&before, REFRESHES), requests(&world));

    let by_acl = refusal_of(&world, &world.database("shut").endpoint()).await;
    by_acl.expect("28000", &["closed=yes is in blocked_rds_tags"]);
    let unknown = refusal_of(&world, "localhost:1").await;
    unknown.expect("3D000", &["is not known"]);

    let endpoint = world.database("db-1").endpoint();
    let (first, messages) = log_in(&world, &endpoint).await.expect("the first login fails");
    let (second, _) = log_in(&world, &endpoint).await.expect("the second login fails");
    let third = refusal_of(&world, &endpoint).await;
    third.expect("53300", &["max_connections of this proxy is 2"]);
    server.wait_for_log("max_connections of this proxy is 2").await;
    let line = lines(server, "connection failed").pop().unwrap();
    let of = ["target", "user", "reason", "sqlstate"].map(|field| line[field].as_str().unwrap());
    assert_eq!(of, ["db-1", "by_trust", "max_connections", "53300"], "{line}");
    cancel(&world, &endpoint, &messages).await;
    until_counted(server, &[&format!("{CANCELS} 1")]).await;

    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(Raw::connect(server.port()).await);
    }
    for mut raw in silent {
        assert_eq!(raw.rest().await, b"");
    }
    // A connection is counted right after it was closed.
    let refused_silent = |metrics: &str| {
        let timed_out = count(metrics, &refused("application", "timeout", "other"));
        (timed_out, count(metrics, &refused("proxy", "pending_dropped", "other")))
    };
    let mut after = get(server, "/metrics").await.1;
    for _ in 0..100 {
        let (timed_out, dropped) = refused_silent(&after);
        if timed_out + dropped >= SILENT {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        after = get(server, "/metrics").await.1;
    }
    assert_eq!(count(&after, &refused("application", "target_acl", "shut")), 1);
    assert_eq!(count(&after, &refused("application", "unknown_target", "other")), 1);
    assert_eq!(count(&after, &refused("proxy", "max_connections", "db-1")), 1);
    let (timed_out, dropped) = refused_silent(&after);
    assert!(timed_out > 0 && dropped > 0, "{timed_out} timed out, {dropped} were dropped");
    assert_eq!(timed_out + dropped, SILENT);
    // Two refused targets, two sessions, one beyond max_connections, and the cancel request.
    assert_eq!(count(&after, CONNECTIONS), 6 + SILENT);
    assert!(count(&after, REFRESHES) > count(&before, REFRESHES), "an unknown address causes a refresh");
    assert_eq!(count(&after, REFRESHES), requests(&world));
    drop((first, second));
    world.stop().await;
}

#[tokio::test]
async fn a_client_counts_logins_without_credentials_and_cancel_requests() {
    let world = World::new().with_client(ADMIN).without_client().start().await;
    let (client, path) = client_with_file(&world).await;
    let credentials = refused("proxy", "aws_credentials", "db-1");
    let before = get(&client, "/metrics").await.1;
    assert_eq!([CONNECTIONS, CANCELS, &credentials].map(|series| count(&before, series)), [0; 3]);

    let (session, connection) = client.config("alice").connect(NoTls).await.unwrap();
    runtime::spawn(connection);
    session.cancel_token().cancel_query(NoTls).await.unwrap();
    std::fs::remove_file(path).unwrap();
    let error = refusal(&client, "alice").await;
    assert!(error.message().contains("no AWS credentials were found"), "{error}");

    let lines = [CONNECTIONS, CANCELS, &credentials].into_iter().zip([3, 1, 1]);
    let lines: Vec<_> = lines.map(|(series, value)| format!("{series} {value}")).collect();
    until_counted(&client, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    drop(session);
    drop(client);
    world.stop().await;
}

async fn log_in(world: &Running, host: &str) -> Result<(Raw, Vec<Message>), Refusal> {
    let parameters = [("user", "by_trust"), ("database", DATABASE), ("host", host)];
    Raw::log_in(world.server().port(), &parameters).await
}

async fn refusal_of(world: &Running, host: &str) -> Refusal {
    log_in(world, host).await.err().expect("the login succeeds")
}

/// Sends the cancel request of a client, with the process id and key of the session.
async fn cancel(world: &Running, host: &str, messages: &[Message]) {
    let key = messages.iter().find(|message| message.tag == b'K').expect("no BackendKeyData came");
    let (process, key) = key.body.split_at(4);
    let process = u32::from_be_bytes(process.try_into().unwrap());
    let key = format!("{process}:{}", hex::encode(key));
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&startup(V3_0, &[("host", host), ("rds-auth-proxy.cancel", &key)])).await;
    assert_eq!(raw.byte().await, None);
}

/// The number of `DescribeDBInstances` requests.
fn requests(world: &Running) -> u64 {
    world.aws.requests("DescribeDBInstances") as u64
}

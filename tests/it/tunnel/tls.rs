use std::fs;

use tokio_postgres::NoTls;

use super::api_server::StreamEnd;
use super::cluster::{Cluster, DEPLOYMENT};
use super::{tunnelled, world_of_one_pod};
use crate::support::proxy::Launch;
use crate::support::raw::Raw;
use crate::support::scratch;
use crate::support::world::Running;

/// A world whose server has a certificate for `host` from `gen-cert`. The client verifies it with `verify-full`.
async fn world_with_certificate_for(host: &str) -> (Cluster, Running) {
    let directory = scratch::new_directory("gen-cert");
    let path = |name: &str| directory.join(name).display().to_string();
    let (certificate, key) = (path("server.pem"), path("server.key"));
    let arguments = ["gen-cert", "--certificate", &certificate, "--key", &key, "--hosts", host];
    let ended = Launch::new("gen-cert", &arguments).run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let cluster = Cluster::start().await;
    let ssl = format!("{{mode: verify-full, root_certificate: {certificate}}}");
    let world = tunnelled(&cluster)
        .with_client(&format!("upstream_proxies: {{default: {{ssl: {ssl}}}}}"))
        .with_server(&format!(
            "proxy: {{ssl: {{enabled: true, certificate: {certificate}, private_key: {key}}}}}"
        ))
        .start()
        .await;
    world.add_secret(&cluster.token);
    world.add_secret(fs::read_to_string(&key).unwrap().lines().nth(1).unwrap());
    cluster.add("pod-1", world.server());
    (cluster, world)
}

/// The certificate has the name of the deployment, because the names of pods change.
#[tokio::test]
async fn tls_inside_the_tunnel_is_verified_in_full() {
    let (cluster, world) = world_with_certificate_for(DEPLOYMENT).await;
    let session = world.connect("alice").await.unwrap();
    let text = "x".repeat(8 << 20);
    let row = session.query_one("select length($1), repeat('y', 16777216)", &[&text]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, &str>(1).len()), (8 << 20, 16 << 20));
    world.server().wait_for_log(r#""app_tls":"TLSv1.3""#).await;
    drop(session);

    let mut session = Raw::session(world.client().port(), "alice").await;
    cluster.api.end_streams("pod-1", StreamEnd::Cut);
    let lost = session.ready().await.unwrap_err();
    assert_eq!(lost.sqlstate(), "08006");
    assert!(lost.message().contains("the connection to the upstream proxy default was lost"), "{lost:?}");
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    world.stop().await;
}

/// The client warns once about a tunnel to an unverified cluster, unless TLS inside the tunnel verifies the server.
#[tokio::test]
async fn an_unverified_cluster_is_warned_of_once() {
    const WARNING: &str = "neither the API server nor the upstream proxy behind it is verified";
    let (cluster, world) = world_of_one_pod().await;
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    assert!(!world.client().log().contains(WARNING), "{}", world.client().log());
    cluster.skip_verification();
    for _ in 0..2 {
        assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    }
    world.client().wait_for_log(WARNING).await;
    assert_eq!(world.client().log().matches(WARNING).count(), 1, "{}", world.client().log());
    world.stop().await;

    let (cluster, world) = world_with_certificate_for(DEPLOYMENT).await;
    cluster.skip_verification();
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    assert!(!world.client().log().contains(WARNING), "{}", world.client().log());
    world.stop().await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (_cluster, world) = world_with_certificate_for("another-deployment").await;
    let error = world.client().config("alice").connect(NoTls).await.err().unwrap();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "08001");
    let sentence = "it is not valid for the name \"rds-auth-proxy\"; it is for another-deployment";
    assert!(error.message().contains(sentence), "{error}");
    assert_eq!(world.rds().connections(), 0);
    world.stop().await;
}

use std::fs;

use tokio_postgres::NoTls;

use super::api_server::StreamEnd;
use super::cluster::{Cluster, DEPLOYMENT};
use super::{tunnelled, world_of_one_pod};
use crate::support::builder::World;
use crate::support::proxy::{Launch, Proxy};
use crate::support::raw::Raw;
use crate::support::scratch;
use crate::support::world::{Running, refusal};

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
    assert!(
        lost.message().contains("the connection to the upstream proxy default (pod pod-1) was lost"),
        "{lost:?}"
    );
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    world.stop().await;
}

/// A world whose server is the pod `pod-1`, and whose clients name the upstream proxy that they use. `upstreams` has the
/// `ssl` sections.
async fn world_with_upstreams(world: World, upstreams: &[(&str, &str)]) -> (Cluster, Running) {
    let cluster = Cluster::start().await;
    let mut world = world.with_client(&cluster.upstream("unset")).with_env("RUST_LOG", "trace");
    for (name, ssl) in upstreams {
        world = world.with_client(&cluster.upstream_with(name, ssl));
    }
    let world = world.without_client().start().await;
    world.add_secret(&cluster.token);
    cluster.add("pod-1", world.server());
    (cluster, world)
}

/// Logs in through the upstream proxy of this name, and checks TLS towards it in the client's log.
async fn logs_in(world: &Running, upstream: &str, hop_tls: &str) -> Proxy {
    let client = world.start_client(&["--proxy-target", upstream]).await;
    drop(client.config("alice").connect(NoTls).await.unwrap_or_else(|error| panic!("{upstream}: {error:?}")));
    client.wait_for_log(&format!("hop_tls=\"{hop_tls}\"")).await;
    client
}

/// The Go program uses TLS here where `kube_config` is written, and none otherwise.
#[tokio::test]
async fn a_server_with_tls_is_reached_by_tls() {
    let rooted = "{root_certificate: <ca>}";
    let upstreams =
        [("prefers", "{mode: prefer}"), ("rooted", rooted), ("foreign", "{root_certificate: <foreign-ca>}")];
    let (cluster, world) = world_with_upstreams(World::new().with_server_tls(), &upstreams).await;
    for name in ["unset", "prefers"] {
        logs_in(&world, name, "TLSv1.3").await;
    }
    // The certificate is for localhost, so the root makes the mode `verify-ca`.
    logs_in(&world, "rooted", "TLSv1.3").await;
    let client = world.start_client(&["--proxy-target", "foreign"]).await;
    let error = refusal(&client, "alice").await;
    assert_eq!(error.code().code(), "08001");
    assert!(error.message().contains("which is not among the 1 root certificates of"), "{error}");

    cluster.skip_verification();
    let client = logs_in(&world, "unset", "TLSv1.3").await;
    client.wait_for_log(WARNING).await;
    world.stop().await;
}

/// The Go program sends the token in clear text here where `kube_config` is not written. The tunnel encrypts it.
#[tokio::test]
async fn a_server_without_tls_is_reached_in_plaintext_inside_the_tunnel() {
    let upstreams = [
        ("prefers", "{mode: prefer}"),
        ("requires", "{mode: require}"),
        ("rooted", "{root_certificate: <ca>}"),
        ("off", "{mode: disable}"),
    ];
    let (_cluster, world) = world_with_upstreams(World::new(), &upstreams).await;
    for name in ["unset", "prefers", "off"] {
        logs_in(&world, name, "off").await;
    }
    assert!(world.rds().tokens()[0].contains(&world.key.id));
    for (name, mode) in [("requires", "require"), ("rooted", "require")] {
        let client = world.start_client(&["--proxy-target", name]).await;
        let error = refusal(&client, "alice").await;
        let sentence = format!("has TLS turned off, but the TLS mode {mode} needs it to send a password");
        assert!(error.message().contains(&sentence), "{error}");
    }
    assert_eq!(world.rds().logins().len(), 3);
    world.stop().await;
}

/// The client answers the database's cleartext request through the server, which no certificate verifies: the tunnel does.
#[tokio::test]
async fn a_verified_tunnel_allows_every_login_method() {
    let only = "aws_auth_only: true";
    for (world, ssl, hop_tls) in [
        (World::new(), "{mode: prefer}", "off"),
        (World::new().with_server_tls(), "{mode: prefer}", "TLSv1.3"),
        (World::new().with_server_tls(), "{mode: require}", "TLSv1.3"),
    ] {
        let world = world.with_client(&format!("upstream_proxies: {{named: {{{only}}}}}"));
        let (cluster, world) = world_with_upstreams(world, &[("named", ssl)]).await;
        logs_in(&world, "named", hop_tls).await;

        // Without the verification an impostor could request the password, with a generated certificate or none.
        cluster.skip_verification();
        let client = world.start_client(&["--proxy-target", "named"]).await;
        let error = refusal(&client, "alice").await;
        let sentence = if hop_tls == "off" {
            "the kubeconfig does not verify the API server"
        } else {
            "uses the login method password, which is not allowed where TLS does not verify its certificate"
        };
        assert!(error.message().contains(sentence), "{ssl}: {error}");
        world.stop().await;
    }
}

/// Whether the cluster is verified is decided for each stream: the kubeconfig may change.
#[tokio::test]
async fn no_password_goes_in_plaintext_through_a_tunnel_to_an_unverified_cluster() {
    let (cluster, world) = world_of_one_pod().await;
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    cluster.skip_verification();
    let refused = world.refusal("alice").await;
    assert_eq!(refused.code().code(), "08001");
    assert_eq!(
        refused.message(),
        "rds-auth-proxy: the upstream proxy default (pod pod-1) has TLS turned off, and the kubeconfig does not verify the API \
         server: a password could reach an impostor"
    );
    let hint = refused.hint().unwrap();
    assert!(hint.contains("insecure-skip-tls-verify") && hint.contains("ssl mode to disable"), "{hint}");
    assert_eq!(world.rds().logins().len(), 1);
    cluster.log_in_with_token(&cluster.token);
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    world.stop().await;
}

const WARNING: &str = "neither the API server nor the upstream proxy behind it is verified";

/// The client warns once about a tunnel to an unverified cluster, unless TLS inside the tunnel verifies the server.
#[tokio::test]
async fn an_unverified_cluster_is_warned_of_once() {
    let (cluster, world) = world_with_upstreams(World::new(), &[("off", "{mode: disable}")]).await;
    let client = logs_in(&world, "off", "off").await;
    assert!(!client.log().contains(WARNING), "{}", client.log());
    cluster.skip_verification();
    for _ in 0..2 {
        drop(client.config("alice").connect(NoTls).await.unwrap());
    }
    client.wait_for_log(WARNING).await;
    assert_eq!(client.log().matches(WARNING).count(), 1, "{}", client.log());
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

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{checks, expect, launch};
use crate::support::builder::World;
use crate::support::protocol::{FirstPacket, read_first};
use crate::support::runtime;
use crate::tunnel::cluster::Cluster;
use crate::tunnel::tunnelled;

#[tokio::test]
async fn a_server_is_recognized_with_and_without_tls() {
    for (plan, tls) in [
        (World::new(), "no TLS with the mode disable"),
        (
            World::new().with_server_tls(),
            "TLSv1.3, verified with the mode verify-full; the certificate for localhost by ",
        ),
    ] {
        let world = plan.without_client().start().await;
        let found = checks(launch(&world, &[])).await;
        expect(&found, "upstream", "ok", "the upstream proxy default at localhost:", "");
        expect(&found, "upstream_tls", "ok", tls, "");
        expect(&found, "upstream_program", "ok", "a server of this program", "");
        assert!(found.iter().all(|check| check["name"] != "kubernetes"), "{found:#?}");
        let direct = checks(launch(&world, &["--direct"])).await;
        assert!(!direct.iter().any(|check| check["name"].as_str().unwrap().starts_with("upstream")));
        world.stop().await;
    }
}

/// A server that refuses every host as the Go program does: with a severity and a message, and without a SQLSTATE.
async fn go_program() -> u16 {
    let listener = runtime::within(TcpListener::bind("127.0.0.1:0")).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // A connection that only shows that the port is open sends nothing.
            if let Ok(FirstPacket::Startup(_)) = read_first(&mut stream).await {
                stream.write_all(b"E\0\0\0\x1eSFATAL\0Mhost not allowed\0\0").await.unwrap();
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    });
    port
}

#[tokio::test]
async fn another_program_is_told_apart() {
    let port = go_program().await;
    let upstreams = format!(
        "upstream_proxies: {{go: {{host: 'localhost:{port}', ssl: {{mode: disable}}}}, \
         database: {{host: <postgres>, ssl: {{mode: disable}}}}}}"
    );
    let world = World::new().with_client(&upstreams).without_server().without_client().start().await;
    let found = checks(launch(&world, &["--proxy-target", "go"])).await;
    expect(&found, "upstream_program", "ok", "a server of the Go program", "");
    let found = checks(launch(&world, &["--proxy-target", "DATABASE"])).await;
    expect(&found, "upstream_program", "failed", "is neither a server", "use --direct");
    let found = checks(launch(&world, &["--proxy-target", "databse"])).await;
    expect(&found, "upstream", "failed", "no upstream proxy is called \"databse\"", "did you mean database?");
    let found = checks(launch(&world, &[])).await;
    expect(&found, "upstream", "failed", "the upstream proxy default at localhost:", "Check that it runs");
    expect(&found, "upstream_tls", "skipped", "it needs the check upstream", "");
    expect(&found, "target", "ok", "", "");
    world.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_has_the_reason() {
    let foreign = "upstream_proxies: {foreign: {host: 'localhost:<server-port>', ssl: {mode: verify-full, root_certificate: \
                   <foreign-ca>}}, unverified: {host: 'localhost:<server-port>', ssl: {mode: require}}}";
    let world = World::new().with_server_tls().with_client(foreign).without_client().start().await;
    let found = checks(launch(&world, &["--proxy-target", "foreign"])).await;
    expect(&found, "upstream", "ok", "", "");
    expect(&found, "upstream_tls", "failed", "is not trusted: its issuer is", "set root_certificate");
    expect(&found, "upstream_program", "skipped", "it needs the check upstream_tls", "");
    let found = checks(launch(&world, &["--proxy-target", "unverified"])).await;
    expect(&found, "upstream_tls", "warning", "does not verify the server", "set ssl.mode to verify-full");
    expect(&found, "upstream_program", "ok", "a server of this program", "");
    world.stop().await;
}

#[tokio::test]
async fn a_tunnel_has_the_checks_of_its_cluster() {
    let cluster = Cluster::start().await;
    let world = tunnelled(&cluster).without_client().start().await;
    world.add_secret(&cluster.token);
    let found = checks(launch(&world, &[])).await;
    expect(&found, "kubernetes", "ok", "context the current one, namespace apps of https://127.0.0.1:", "");
    expect(&found, "rbac", "ok", "every rule", "");
    expect(
        &found,
        "pods",
        "failed",
        "there is no pod with app.kubernetes.io/name=",
        "check that the deployment",
    );
    expect(&found, "upstream", "skipped", "it needs the check pods", "");

    cluster.add("pod-1", world.server());
    let found = checks(launch(&world, &[])).await;
    expect(&found, "pods", "ok", "ready: pod-1", "");
    expect(&found, "upstream", "ok", "the upstream proxy default (pod pod-1) accepts connections", "");
    expect(&found, "upstream_program", "ok", "a server of this program", "");

    for (verbs, status, detail) in [
        (&["create"][..], "failed", "does not let you get pods/portforward in namespace apps"),
        (&["get"], "warning", "does not let you create pods/portforward in namespace apps"),
    ] {
        let role = BTreeMap::from([("pods", &["list", "watch"][..]), ("pods/portforward", verbs)]);
        cluster.api.cluster().rights.role = Some(role);
        expect(&checks(launch(&world, &[])).await, "rbac", status, detail, "");
    }
    cluster.api.cluster().rights.no_reviews = true;
    expect(&checks(launch(&world, &[])).await, "rbac", "skipped", "does not say", "");
    cluster.kubeconfig("https://127.0.0.1:1", "{token: x}");
    let found = checks(launch(&world, &[])).await;
    expect(&found, "pods", "failed", "cannot be reached", "check the network");
    world.stop().await;
}

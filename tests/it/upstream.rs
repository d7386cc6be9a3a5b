//! TLS from the client to the server, in every `sslmode`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio_postgres::NoTls;

use crate::support::builder::World;
use crate::support::certificates::{Authority, Certificate, Validity};
use crate::support::proxy::{Launch, Proxy};
use crate::support::scratch;
use crate::support::world::refusal;

/// Generates a certificate with the command `gen-cert`.
async fn gen_cert(directory: &Path, hosts: &str) -> (String, String) {
    let path = |name: &str| directory.join(name).display().to_string();
    let (certificate, key) = (path("server.pem"), path("server.key"));
    let arguments = ["gen-cert", "--certificate", &certificate, "--key", &key, "--hosts", hosts];
    let ended = Launch::new("gen-cert", &arguments).run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    (certificate, key)
}

async fn logs_in(client: &Proxy) {
    drop(client.config("alice").connect(NoTls).await.unwrap());
}

#[tokio::test]
async fn a_generated_certificate_works_in_every_mode() {
    let directory = scratch::new_directory("gen-cert");
    let (certificate, key) = gen_cert(&directory, "localhost").await;
    let upstream = |name: &str, host: &str, ssl: &str| {
        format!("upstream_proxies: {{{name}: {{host: '{host}:<server-port>', ssl: {ssl}}}}}")
    };
    let rooted = |mode: &str| format!("{{mode: {mode}, root_certificate: {certificate}}}");
    let world = World::new()
        .with_server(&format!(
            "proxy: {{ssl: {{enabled: true, certificate: {certificate}, private_key: {key}}}}}"
        ))
        .with_client(&upstream("require", "localhost", "{mode: require}"))
        .with_client(&upstream("ca", "127.0.0.1", &rooted("verify-ca")))
        .with_client(&upstream("full", "localhost", &rooted("verify-full")))
        .with_client(&upstream("wrong-name", "127.0.0.1", &rooted("verify-full")))
        .with_client(&upstream("wrong-ca", "localhost", "{mode: verify-full, root_certificate: <ca>}"))
        .with_client(&upstream("require-ca", "localhost", "{mode: require, root_certificate: <ca>}"))
        .without_client()
        .start()
        .await;
    world.add_secret(fs::read_to_string(&key).unwrap().lines().nth(1).unwrap());
    let warning = "encrypts but does not verify the server";
    for (name, warnings) in [("require", 1), ("ca", 0), ("full", 0)] {
        let client = world.start_client(&["--proxy-target", name]).await;
        logs_in(&client).await;
        logs_in(&client).await;
        assert_eq!(client.log().matches(warning).count(), warnings, "{}", client.log());
    }
    world.server().wait_for_log(r#""app_tls":"TLSv1.3""#).await;
    for (name, sentence) in [
        ("wrong-name", "it is not valid for the name \"127.0.0.1\"; it is for localhost"),
        ("wrong-ca", "is not among the 1 root certificates of"),
        ("require-ca", "is not among the 1 root certificates of"),
    ] {
        let client = world.start_client(&["--proxy-target", name]).await;
        let error = refusal(&client, "alice").await;
        assert_eq!(error.code().code(), "08001");
        assert!(error.message().contains(sentence), "{error}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_mode_that_gives_tokens_to_an_impostor_is_reported() {
    let upstream = |name: &str, host: &str, mode: &str| {
        format!("upstream_proxies: {{{name}: {{host: '{host}', ssl: {{mode: {mode}}}}}}}")
    };
    let world = World::new()
        .with_client(&upstream("prefers", "proxy.invalid:8000", "prefer"))
        .with_client(&upstream("plain", "192.0.2.1:8000", "disable"))
        .with_client(&upstream("local", "127.0.0.1:<server-port>", "disable"))
        .without_client()
        .start()
        .await;
    for (name, warning) in [
        ("prefers", Some("TLS to this upstream proxy is optional and does not verify the server")),
        ("plain", Some("the network can read tokens and data on the way to this upstream proxy")),
        ("local", None),
    ] {
        let client = world.start_client(&["--proxy-target", name]).await;
        let log = client.log();
        assert_eq!(log.matches("set ssl.mode to verify-full").count(), warning.iter().len(), "{log}");
        assert!(warning.is_none_or(|text| log.contains(text)), "{log}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_server_without_tls_receives_no_password_unless_the_mode_is_disable() {
    let world = World::new()
        .with_client("upstream_proxies: {wants: {host: 'localhost:<server-port>', ssl: {mode: require}}}")
        .with_client("upstream_proxies: {likes: {host: 'localhost:<server-port>', ssl: {mode: prefer}}}")
        .without_client()
        .start()
        .await;
    for (name, mode) in [("wants", "require"), ("likes", "prefer")] {
        let client = world.start_client(&["--proxy-target", name]).await;
        let error = refusal(&client, "alice").await;
        assert_eq!(error.code().code(), "08001");
        let sentence = format!(" has TLS turned off, but the TLS mode {mode} needs it");
        let hop = format!("the upstream proxy {name} at localhost:");
        assert!(error.message().contains(&hop) && error.message().contains(&sentence), "{error}");
        assert!(error.hint().unwrap().contains("or set its ssl mode to disable"), "{error:?}");
    }
    assert_eq!(world.rds().connections(), 0);
    logs_in(&world.start_client(&[]).await).await;
    world.stop().await;
}

#[tokio::test]
async fn a_replaced_certificate_is_used_for_the_next_connection() {
    let world = World::new().with_server_tls().start().await;
    logs_in(world.client()).await;
    replace(&world.server_certificate, &Authority::foreign().issue(&["localhost"], Validity::Now));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let error = world.refusal("alice").await;
    assert!(error.message().contains("its issuer is \"CN=Foreign CA\""), "{error}");

    fs::write(&world.server_certificate.path, "half a fil").unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let error = world.refusal("alice").await;
    assert!(
        error.message().contains("its issuer is \"CN=Foreign CA\""),
        "the previous certificate stays in use: {error}"
    );
    world.server().wait_for_log("the old ones stay in use").await;

    replace(&world.server_certificate, &Authority::trusted().issue(&["localhost"], Validity::Now));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    logs_in(world.client()).await;
    world.stop().await;
}

fn replace(old: &Certificate, new: &Certificate) {
    fs::copy(&new.path, &old.path).unwrap();
    fs::copy(&new.key_path, &old.key_path).unwrap();
}

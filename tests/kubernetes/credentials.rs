use std::fs;
use std::time::{Duration, Instant};

use rds_auth_proxy::catalog::Dial;
use rds_auth_proxy::kubernetes::{Timeouts, Tunnel};

use super::script::write_script;
use super::world::{LIMIT, World, echoing, name, short_timeouts};

/// Writes a plugin and a kubeconfig that uses it. The plugin adds a line to the file `runs` at each run.
fn plugin(world: &World, body: &str) {
    let script = format!("cd \"$(dirname \"$0\")\"\necho run >> runs\n{body}");
    write_script(&world.directory.path().join("plugin"), &script);
    world.user("{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: IfAvailable}}");
}

fn runs(world: &World) -> usize {
    fs::read_to_string(world.directory.path().join("runs")).unwrap_or_default().lines().count()
}

const TOKEN: &str = r#"printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s"}}' "$(cat token)""#;

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_runs_once_for_several_connections() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().tokens = Some(vec!["good".to_owned()]);
    fs::write(world.directory.path().join("token"), "good").unwrap();
    plugin(&world, TOKEN);
    let tunnel = world.tunnel();
    for _ in 0..3 {
        assert_eq!(name(&*tunnel).await, "p");
    }
    assert_eq!(runs(&world), 1);
}

/// The next connection renews an expired token, without a restart and without an error.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_renewed() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().tokens = Some(vec!["first".to_owned()]);
    fs::write(world.directory.path().join("token"), "first").unwrap();
    plugin(&world, TOKEN);
    let tunnel = world.tunnel();
    assert_eq!(name(&*tunnel).await, "p");
    world.api.cluster().tokens = Some(vec!["second".to_owned()]);
    fs::write(world.directory.path().join("token"), "second").unwrap();
    assert_eq!(name(&*tunnel).await, "p");
    assert_eq!(runs(&world), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_expires() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    fs::write(world.directory.path().join("token"), "t").unwrap();
    plugin(&world, TOKEN);
    let timeouts = Timeouts { renew_after: Duration::from_secs(4), ..short_timeouts() };
    let tunnel = Tunnel::with_timeouts(world.settings(), timeouts);
    assert_eq!(name(&tunnel).await, "p");
    assert_eq!(name(&tunnel).await, "p");
    assert_eq!(runs(&world), 1);
    tokio::time::sleep(timeouts.renew_after).await;
    assert_eq!(name(&tunnel).await, "p");
    assert_eq!(runs(&world), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_of_a_plugin_that_needs_a_login_is_quoted() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    plugin(&world, "echo s3cret; echo 'Error loading SSO Token: Token for dev does not exist' >&2; exit 255");
    let tunnel = world.tunnel();
    let error = tunnel.dial(LIMIT).await.err().unwrap();
    let text = error.to_string();
    assert!(text.starts_with("the credential plugin \""), "{text}");
    assert!(
        text.ends_with(
            "plugin\" of the kubeconfig failed: Error loading SSO Token: Token for dev does not exist; log in to the \
             cluster so that `kubectl get pods` works in a terminal, then connect again"
        ),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "the output may be a credential: {text}");
    fs::write(world.directory.path().join("token"), "t").unwrap();
    plugin(&world, TOKEN);
    assert_eq!(name(&*tunnel).await, "p", "the next connection works after the login");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_plugin_is_named() {
    let world = World::new().await;
    world.user("{exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never}}");
    let text = world.refusal().await;
    assert!(
        text.starts_with("the credential plugin \"no-such-plugin\" of the kubeconfig cannot be started"),
        "{text}"
    );
    assert!(text.contains("put it on the PATH"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_output_of_a_plugin_is_not_quoted() {
    let world = World::new().await;
    plugin(&world, "echo '{\"token\": \"s3cret\"'");
    let text = world.refusal().await;
    assert!(text.contains("it printed no ExecCredential") && !text.contains("s3cret"), "{text}");
}

/// Connections do not start a second plugin while one waits for a login, and use its answer once there is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_plugin_is_started_once() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    fs::write(world.directory.path().join("token"), "t").unwrap();
    // The plugin waits for its login until the test has read the errors.
    plugin(&world, &format!("until [ -e login ]; do sleep 0.1; done\n{TOKEN}"));
    let timeouts = Timeouts { plugin: Duration::from_secs(2), ..short_timeouts() };
    let tunnel = std::sync::Arc::new(Tunnel::with_timeouts(world.settings(), timeouts));
    let start = Instant::now();
    let dials: Vec<_> = (0..5)
        .map(|_| {
            tokio::spawn({
                let tunnel = std::sync::Arc::clone(&tunnel);
                async move { tunnel.dial(LIMIT).await.err().unwrap().to_string() }
            })
        })
        .collect();
    for dial in dials {
        let text = dial.await.unwrap();
        assert!(text.contains("may be waiting for a login"), "{text}");
    }
    assert!(
        start.elapsed() < timeouts.plugin * 4,
        "connections that wait at the same time fail at the same time"
    );
    fs::write(world.directory.path().join("login"), "").unwrap();
    while let Err(error) = tunnel.dial(LIMIT).await {
        assert!(error.to_string().contains("may be waiting for a login"), "{error}");
        assert!(start.elapsed() < Duration::from_mins(1), "no connection uses the answer of the plugin");
    }
    assert_eq!(name(&*tunnel).await, "p");
    assert_eq!(runs(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_are_reported_and_a_changed_kubeconfig_is_read() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().tokens = Some(vec!["good".to_owned()]);
    world.user("{token: stale}");
    let tunnel = world.tunnel();
    let text = tunnel.dial(LIMIT).await.err().unwrap().to_string();
    assert!(text.contains("does not accept the credentials of the kubeconfig (401)"), "{text}");
    assert!(text.contains("kubectl get pods") && !text.contains("stale"), "{text}");
    world.user("{token: good}");
    assert_eq!(name(&*tunnel).await, "p", "the kubeconfig is read again after a change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_authenticates() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().certificate = true;
    assert!(world.refusal().await.contains("(401)"));
    let (certificate, key) = world.pki.client("dev");
    fs::write(world.directory.path().join("c.pem"), certificate).unwrap();
    fs::write(world.directory.path().join("c.key"), key).unwrap();
    world.user("{client-certificate: c.pem, client-key: c.key}");
    echoing(&*world.tunnel()).await.unwrap();
}

/// kubectl says `Unauthorized` only; the date is in the kubeconfig.
#[tokio::test(flavor = "multi_thread")]
async fn an_expired_client_certificate_is_named_with_its_date() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().tokens = Some(vec!["another".to_owned()]);
    let (certificate, key) = world.pki.client_until("dev", 2024);
    let encode = |text: String| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    for user in [
        "{client-certificate: c.pem, client-key: c.key}".to_owned(),
        format!(
            "{{client-certificate-data: {}, client-key-data: {}}}",
            encode(certificate.clone()),
            encode(key.clone())
        ),
    ] {
        fs::write(world.directory.path().join("c.pem"), &certificate).unwrap();
        fs::write(world.directory.path().join("c.key"), &key).unwrap();
        world.user(&user);
        assert_eq!(
            world.refusal().await,
            format!(
                "the API server https://{} does not accept the client certificate of the kubeconfig, which expired on \
                 2024-01-01T00:00:00Z; renew it, or log in to the cluster so that `kubectl get pods` works in a terminal, \
                 then connect again",
                world.api.address
            )
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_may_return_a_client_certificate() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().certificate = true;
    let (certificate, key) = world.pki.client("dev");
    let credential = serde_json::json!({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
        "status": {"clientCertificateData": certificate, "clientKeyData": key}});
    fs::write(world.directory.path().join("credential"), credential.to_string()).unwrap();
    plugin(&world, "cat credential");
    echoing(&*world.tunnel()).await.unwrap();
}

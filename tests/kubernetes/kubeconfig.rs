//! Fields of the kubeconfig as kubectl reads them. Each works with kubectl 1.32, unless its test says something else.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rds_auth_proxy::catalog::Dial;

use super::world::{LIMIT, World, name};

async fn world_with_token(token: &str) -> World {
    let world = World::new().await;
    world.api.cluster().tokens = Some(vec![token.to_owned()]);
    world
}

fn write(world: &World, file: &str, text: impl AsRef<[u8]>) {
    fs::write(world.directory.path().join(file), text).unwrap();
}

/// A YAML block and a Kubernetes secret end with a line end. kubectl refuses the one in `token`: the header is invalid.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_end_with_a_line_end() {
    let world = world_with_token("good").await;
    let _backend = world.pod("p").await;
    world.user("{token: \"good\\n\"}");
    assert_eq!(name(&*world.tunnel()).await, "p");
    for text in ["good\n", "good\r\n", " good"] {
        write(&world, "token", text);
        world.user("{tokenFile: token}");
        assert_eq!(name(&*world.tunnel()).await, "p", "{text:?}");
    }
    world.user("{token: \"go\\nod\"}");
    let text = world.refusal().await;
    assert!(text.contains("its token has characters that an HTTP header cannot carry"), "{text}");
    assert!(!text.contains("od\""), "{text}");
    write(&world, "token", "\n");
    world.user("{tokenFile: token}");
    let text = world.refusal().await;
    assert!(text.contains("its token file") && text.contains("it is empty"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_takes_precedence_over_a_token_and_is_read_again() {
    let world = world_with_token("good").await;
    let _backend = world.pod("p").await;
    write(&world, "token", "good");
    world.user("{token: stale, tokenFile: token}");
    let tunnel = world.tunnel();
    assert_eq!(name(&*tunnel).await, "p");
    world.api.cluster().tokens = Some(vec!["next-token".to_owned()]);
    write(&world, "token", "next-token\n");
    assert_eq!(name(&*tunnel).await, "p");
    fs::remove_file(world.directory.path().join("token")).unwrap();
    assert_eq!(name(&*tunnel).await, "p", "the last token stays in use");
    world.user("{token: next-token, tokenFile: token}");
    assert_eq!(name(&*world.tunnel()).await, "p", "an unreadable file leaves the token in use");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_fields_are_absent() {
    let world = world_with_token("good").await;
    let _backend = world.pod("p").await;
    let server = format!("https://{}", world.api.address);
    let empty = ", certificate-authority-data: '', tls-server-name: '', proxy-url: ''";
    world.kubeconfig(&server, "{token: good, tokenFile: '', client-certificate: '', client-certificate-data: '', client-key: '', \
        client-key-data: '', username: '', password: '', as: '', as-uid: '', as-groups: [], exec: null, auth-provider: null}", empty);
    assert_eq!(name(&*world.tunnel()).await, "p");
    write(&world, "token", "good");
    world.user("{token: '', tokenFile: token}");
    assert_eq!(name(&*world.tunnel()).await, "p");
    let data = STANDARD.encode(&world.pki.ca_pem);
    let text = fs::read_to_string(world.kube_config()).unwrap();
    let text = text.replace(
        "certificate-authority: ca.pem",
        &format!("certificate-authority: '', certificate-authority-data: {data}"),
    );
    fs::write(world.kube_config(), text).unwrap();
    assert_eq!(name(&*world.tunnel()).await, "p");
}

#[tokio::test(flavor = "multi_thread")]
async fn base64_may_have_line_breaks() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    world.api.cluster().certificate = true;
    let (certificate, key) = world.pki.client("dev");
    let folded = |text: &str| {
        let data = STANDARD.encode(text);
        let lines: Vec<_> =
            data.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        lines.join("\\n")
    };
    world.user(&format!(
        "{{client-certificate-data: \"{}\", client-key-data: \"{}\\n\"}}",
        folded(&certificate),
        folded(&key)
    ));
    let text = fs::read_to_string(world.kube_config()).unwrap();
    let ca = format!("certificate-authority-data: \"{}\\r\\n\"", folded(&world.pki.ca_pem));
    fs::write(world.kube_config(), text.replace("certificate-authority: ca.pem", &ca)).unwrap();
    super::world::echoing(&*world.tunnel()).await.unwrap();
}

/// `rest.DefaultServerURL` of client-go: `https`, because the cluster has a CA.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_needs_no_scheme() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let address = world.api.address.to_string();
    for server in [&address, &format!(" {address}\n"), &format!("{address}/"), &format!("HTTPS://{address}")]
    {
        world.kubeconfig(&server.replace('\n', " "), "{}", "");
        assert_eq!(name(&*world.tunnel()).await, "p", "{server}");
    }
    for server in [format!("{address}/path"), format!("tcp://{address}"), "https://".to_owned()] {
        world.kubeconfig(&server, "{}", "");
        let text = world.refusal().await;
        assert!(
            text.contains(&format!("its server \"{server}\" is n")) && text.contains("write https://"),
            "{text}"
        );
    }
    world.kubeconfig("", "{}", "");
    assert!(world.refusal().await.contains("its cluster has no server"));
    world.kubeconfig(&format!("https://{address}"), "{}", ", proxy-url: 'ftp://user:hunter2@127.0.0.1:1'");
    let text = world.refusal().await;
    assert!(
        text.contains("the proxy-url of its cluster must be a URL") && !text.contains("hunter2"),
        "{text}"
    );
}

/// kubectl shows such a certificate, and API servers of Go accept it. The TLS library of this program cannot.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_of_version_1_is_named() {
    let world = World::new().await;
    let _backend = world.pod("p").await;
    let directory = world.directory.path();
    let made = std::process::Command::new("sh")
        .current_dir(directory)
        .args([
            "-c",
            "openssl req -newkey rsa:2048 -nodes -keyout v1.key -subj /CN=dev -out v1.csr && \
            openssl req -x509 -newkey rsa:2048 -nodes -keyout ca1.key -subj /CN=ca -out ca1.pem && \
            openssl x509 -req -in v1.csr -CA ca1.pem -CAkey ca1.key -CAcreateserial -out v1.pem",
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let data = STANDARD.encode(fs::read(directory.join("v1.pem")).unwrap());
    for certificate in ["client-certificate: v1.pem".to_owned(), format!("client-certificate-data: {data}")] {
        world.user(&format!("{{{certificate}, client-key: v1.key}}"));
        let text = world.refusal().await;
        assert!(text.contains("its client certificate is of X.509 version 1"), "{text}");
        assert!(text.contains("request one of version 3"), "{text}");
    }
}

#[cfg(unix)]
mod plugin {
    use super::*;
    use crate::script::write_script;

    fn plugin(world: &World, status: &str, more: &str) {
        let printed = format!(
            r#"{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{status}}}"#
        );
        write(world, "credential", printed);
        write_script(
            &world.directory.path().join("plugin"),
            "cd \"$(dirname \"$0\")\"\nenv > environment\ncat credential",
        );
        world.user(&format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: Never{more}}}}}"
        ));
    }

    /// kubectl refuses such a token as an invalid header.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_token_of_a_plugin_may_end_with_a_line_end() {
        let world = world_with_token("good").await;
        let _backend = world.pod("p").await;
        plugin(&world, r#"{"token": "good\n"}"#, "");
        assert_eq!(name(&*world.tunnel()).await, "p");
        plugin(&world, r#"{"token": "good\r\n", "expirationTimestamp": "2090-01-01T00:00:00Z"}"#, "");
        assert_eq!(name(&*world.tunnel()).await, "p");
        for status in [
            r#"{"token": "s3c\nret"}"#,
            r#"{"token": "s3c\u0000ret", "expirationTimestamp": "2090-01-01T00:00:00Z"}"#,
        ] {
            plugin(&world, status, "");
            let text = world.refusal().await;
            assert!(text.contains("its token has characters that an HTTP header cannot carry"), "{text}");
            assert!(text.contains("credential plugin") && !text.contains("ret\""), "{text}");
        }
    }

    /// client-go, `refreshCredsLocked` in plugin/pkg/client/auth/exec/exec.go, refuses these too.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_plugin_without_credentials_is_named() {
        let world = World::new().await;
        for (status, expected) in [
            ("{}", "it printed neither a token nor a client certificate"),
            (r#"{"token": " "}"#, "it printed neither a token nor a client certificate"),
            (r#"{"clientKeyData": "s3cret"}"#, "it printed a client certificate or a key, not both"),
            ("null", "it printed no ExecCredential"),
        ] {
            plugin(&world, status, "");
            let text = world.refusal().await;
            assert!(text.contains(expected) && !text.contains("s3cret"), "{text}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plugin_receives_its_variables_and_the_cluster() {
        let world = world_with_token("good").await;
        let _backend = world.pod("p").await;
        plugin(
            &world,
            r#"{"token": "good"}"#,
            ", provideClusterInfo: true, args: null, env: [{name: AWS_PROFILE, value: dev}]",
        );
        assert_eq!(name(&*world.tunnel()).await, "p");
        let variables = fs::read_to_string(world.directory.path().join("environment")).unwrap();
        assert!(variables.contains("AWS_PROFILE=dev\n"), "{variables}");
        let line = variables.lines().find_map(|line| line.strip_prefix("KUBERNETES_EXEC_INFO=")).unwrap();
        let information: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(information["kind"], "ExecCredential");
        assert_eq!(information["apiVersion"], "client.authentication.k8s.io/v1");
        assert_eq!(information["spec"]["interactive"], false);
        let server = format!("https://{}", world.api.address);
        assert_eq!(information["spec"]["cluster"]["server"], server);
        assert!(information["spec"]["cluster"]["certificate-authority-data"].is_string(), "{information}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_hint_for_a_missing_plugin_is_quoted() {
        let world = World::new().await;
        world.user("{exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, installHint: \"get it at\\nhttps://example.com.\"}}");
        let text = world.tunnel().dial(LIMIT).await.err().unwrap().to_string();
        assert!(text.contains("the kubeconfig says: get it at https://example.com)"), "{text}");
    }
}

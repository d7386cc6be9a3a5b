use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rds_auth_proxy::catalog::Dial;
use rds_auth_proxy::catalog::{Pods, PortForward};
use rds_auth_proxy::kubernetes::{Timeouts, Tunnel};
use rds_auth_proxy::net::Socket;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::api_server::{ApiServer, Pod, Port};
use super::backend::Backend;
use super::pki::Pki;

/// The deployment of the pods.
const DEPLOYMENT: &str = "proxy";

/// The limit of a dial: what a session leaves by default.
pub(crate) const LIMIT: Duration = Duration::from_secs(14);

/// A cluster, and a directory with a kubeconfig for it.
pub(crate) struct World {
    pub(crate) api: ApiServer,
    pub(crate) pki: Pki,
    pub(crate) directory: TempDir,
}

/// Timeouts with which a test fails within seconds.
pub(crate) fn short_timeouts() -> Timeouts {
    Timeouts {
        wait_for_pod: Duration::from_millis(1500),
        wait_for_right: Duration::from_millis(300),
        retry_interval: Duration::from_millis(50),
        late_refusal_unready: Duration::from_millis(500),
        answer: Duration::from_secs(2),
        plugin: Duration::from_secs(5),
        ..Timeouts::default()
    }
}

/// The same, with time for the refusal of a pod on a busy machine.
pub(crate) fn refusal_timeouts() -> Timeouts {
    Timeouts { late_refusal: Duration::from_secs(1), ..short_timeouts() }
}

impl World {
    pub(crate) async fn new() -> Self {
        let pki = Pki::new();
        let api = ApiServer::start(&pki).await;
        let world = Self { api, pki, directory: tempfile::tempdir().unwrap() };
        std::fs::write(world.directory.path().join("ca.pem"), &world.pki.ca_pem).unwrap();
        world.user("{}");
        world
    }

    /// Writes a kubeconfig with these credentials.
    pub(crate) fn user(&self, user: &str) {
        self.kubeconfig(&format!("https://{}", self.api.address), user, "");
    }

    /// Writes the kubeconfig. `more` is added to the cluster.
    pub(crate) fn kubeconfig(&self, server: &str, user: &str, more: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
             clusters: [{{name: c, cluster: {{server: '{server}', certificate-authority: ca.pem{more}}}}}]\n\
             contexts: [{{name: here, context: {{cluster: c, user: u, namespace: apps}}}}]\n\
             users: [{{name: u, user: {user}}}]\n"
        );
        std::fs::write(self.kube_config(), text).unwrap();
    }

    pub(crate) fn kube_config(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    pub(crate) fn settings(&self) -> PortForward {
        PortForward {
            kube_config: Some(self.kube_config()),
            context: None,
            namespace: None,
            pods: Pods::Deployment(DEPLOYMENT.to_owned()),
            remote_port: 8000,
            local_port: None,
        }
    }

    pub(crate) fn tunnel(&self) -> Arc<Tunnel> {
        Arc::new(Tunnel::with_timeouts(self.settings(), short_timeouts()))
    }

    /// The error of a dial.
    pub(crate) async fn refusal(&self) -> String {
        self.tunnel().dial(LIMIT).await.err().expect("there must be no stream").to_string()
    }

    /// Adds a ready pod and starts the server in it.
    pub(crate) async fn pod(&self, name: &str) -> Backend {
        let backend = Backend::start(name).await;
        self.add(pod(name, Port::Listener(backend.address)));
        backend
    }

    pub(crate) fn add(&self, pod: Pod) {
        self.api.cluster().pods.push(pod);
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Pod)) {
        change(self.api.cluster().pods.iter_mut().find(|pod| pod.name == name).unwrap());
    }
}

/// A ready pod of the deployment.
pub(crate) fn pod(name: &str, port: Port) -> Pod {
    Pod::of(DEPLOYMENT, name, port)
}

/// Sends `text` to an echo server and reads it back.
pub(crate) async fn echo(stream: &mut Socket, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await?;
    assert_eq!(back, text.as_bytes());
    Ok(())
}

/// A stream to an echo server that has answered once.
pub(crate) async fn echoing(tunnel: &dyn Dial) -> std::io::Result<Socket> {
    let mut stream = tunnel.dial(LIMIT).await?.socket;
    stream.write_all(b"E").await?;
    echo(&mut stream, "hello").await?;
    Ok(stream)
}

/// The name of the pod at the other end of a new stream. Like a session, this dials again where a pod refuses an open stream.
pub(crate) async fn name(tunnel: &dyn Dial) -> String {
    for _ in 0..4 {
        let mut stream = tunnel.dial(LIMIT).await.unwrap().socket;
        match read_name(&mut stream).await {
            Ok(name) => return name,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{error}"),
        }
    }
    read_name(&mut tunnel.dial(LIMIT).await.unwrap().socket).await.expect("each pod refuses its stream")
}

async fn read_name(stream: &mut Socket) -> std::io::Result<String> {
    stream.write_all(b"N").await?;
    stream.flush().await?;
    let mut name = String::new();
    stream.read_to_string(&mut name).await?;
    Ok(name)
}

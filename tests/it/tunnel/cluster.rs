use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::api_server::{ApiServer, Pod, Port};
use super::pki::Pki;
use crate::support::proxy::Proxy;
use crate::support::scratch::{self, random_text};
use crate::support::script::write_script;

/// What the deployment is called, and with it the pods' label and the name in the servers' certificate.
pub(super) const DEPLOYMENT: &str = "rds-auth-proxy";

/// An API server that lets nobody in without credentials, and a kubeconfig with them.
pub(super) struct Cluster {
    pub(super) api: ApiServer,
    /// The credential that the kubeconfig holds at first.
    pub(super) token: String,
    pki: Pki,
    directory: PathBuf,
}

impl Cluster {
    pub(super) async fn start() -> Self {
        let pki = Pki::new();
        let api = ApiServer::start(&pki).await;
        let directory = scratch::fresh("cluster");
        let token = random_text(40);
        fs::write(directory.join("ca.pem"), &pki.ca_pem).unwrap();
        api.cluster().tokens = Some(vec![token.clone()]);
        let cluster = Self { api, token, pki, directory };
        cluster.log_in_with_token(&cluster.token);
        cluster
    }

    /// An upstream proxy that is reached through this cluster, for the configuration of a client.
    pub(super) fn upstream(&self, name: &str) -> String {
        let instead = if name == "default" { "host: null, ssl: null, " } else { "" };
        let config = self.directory.join("config");
        format!(
            "upstream_proxies: {{{name}: {{{instead}port_forward: {{kube_config: {}, deployment: {DEPLOYMENT}}}}}}}",
            config.display()
        )
    }

    /// A ready pod, in which this server runs.
    pub(super) fn add(&self, name: &str, server: &Proxy) {
        self.add_pod(name, Port::Listener(SocketAddr::from(([127, 0, 0, 1], server.port()))));
    }

    pub(super) fn add_pod(&self, name: &str, port: Port) {
        self.api.cluster().pods.push(Pod::of(DEPLOYMENT, name, port));
    }

    pub(super) fn remove(&self, name: &str) {
        self.api.cluster().pods.retain(|pod| pod.name != name);
    }

    /// Marks a pod as one that is being deleted.
    pub(super) fn terminate(&self, name: &str) {
        let mut cluster = self.api.cluster();
        cluster.pods.iter_mut().filter(|pod| pod.name == name).for_each(|pod| pod.terminating = true);
    }

    /// The pods to which streams were opened.
    pub(super) fn forwards(&self) -> Vec<String> {
        let requests = self.api.cluster().requests.clone();
        let pod = |path: &String| path.strip_suffix("/portforward")?.rsplit('/').next().map(str::to_owned);
        requests.iter().filter_map(pod).collect()
    }

    pub(super) fn log_in_with_token(&self, token: &str) {
        self.user(&format!("{{token: {token}}}"));
    }

    /// From now on only a certificate gets in. The key in PEM.
    pub(super) fn log_in_with_certificate(&self) -> String {
        let (certificate, key) = self.pki.client("dev");
        fs::write(self.directory.join("c.pem"), certificate).unwrap();
        fs::write(self.directory.join("c.key"), &key).unwrap();
        self.user("{client-certificate: c.pem, client-key: c.key}");
        let mut cluster = self.api.cluster();
        (cluster.tokens, cluster.certificate) = (None, true);
        key
    }

    /// From now on only what a plugin prints gets in: that, and the secret in its environment.
    pub(super) fn log_in_with_plugin(&self) -> [String; 2] {
        let (token, password) = (random_text(40), random_text(40));
        self.plugin(
            &format!(
                "[ \"$PASSWORD\" = {password} ] && printf '%s' '{}'",
                serde_json::json!({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
                    "status": {"token": token}})
            ),
            &format!(", env: [{{name: PASSWORD, value: {password}}}]"),
        );
        self.api.cluster().tokens = Some(vec![token.clone()]);
        [token, password]
    }

    /// Has the kubeconfig run this shell script for credentials.
    pub(super) fn plugin(&self, script: &str, more: &str) {
        write_script(&self.directory.join("plugin"), script);
        self.user(&format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: IfAvailable\
             {more}}}}}"
        ));
    }

    fn user(&self, user: &str) {
        self.kubeconfig(&format!("https://{}", self.api.address), user);
    }

    /// Has the kubeconfig take any API server for this one.
    pub(super) fn trust_anybody(&self) {
        let path = self.directory.join("config");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("certificate-authority: ca.pem", "insecure-skip-tls-verify: true"))
            .unwrap();
    }

    /// Has the kubeconfig name this port of this machine for the API server.
    pub(super) fn move_to(&self, port: u16) {
        self.kubeconfig(&format!("https://127.0.0.1:{port}"), &format!("{{token: {}}}", self.token));
    }

    /// Writes the kubeconfig.
    pub(super) fn kubeconfig(&self, server: &str, user: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
             clusters: [{{name: c, cluster: {{server: '{server}', certificate-authority: ca.pem}}}}]\n\
             contexts: [{{name: here, context: {{cluster: c, user: u, namespace: apps}}}}]\n\
             users: [{{name: u, user: {user}}}]\n"
        );
        fs::write(self.directory.join("config"), text).unwrap();
    }
}

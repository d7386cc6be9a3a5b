use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::api_server::{ApiServer, Pod, Port};
use super::pki::Pki;
use crate::support::proxy::Proxy;
use crate::support::scratch::{self, random_text};
use crate::support::script::write_script;

/// The name of the deployment. The pods' label and the servers' certificate have the same name.
pub(crate) const DEPLOYMENT: &str = "rds-auth-proxy";

/// An API server that requires credentials, and a kubeconfig with them.
pub(crate) struct Cluster {
    pub(crate) api: ApiServer,
    /// The first credential of the kubeconfig.
    pub(crate) token: String,
    pki: Pki,
    directory: PathBuf,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let pki = Pki::new();
        let api = ApiServer::start(&pki).await;
        let directory = scratch::new_directory("cluster");
        let token = random_text(40);
        fs::write(directory.join("ca.pem"), &pki.ca_pem).unwrap();
        api.cluster().tokens = Some(vec![token.clone()]);
        let cluster = Self { api, token, pki, directory };
        cluster.log_in_with_token(&cluster.token);
        cluster
    }

    /// The kubeconfig.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("config")
    }

    /// The configuration of an upstream proxy behind this cluster, for a client.
    pub(crate) fn upstream(&self, name: &str) -> String {
        let replaced = if name == "default" { "host: null, ssl: null, " } else { "" };
        let config = self.directory.join("config");
        format!(
            "upstream_proxies: {{{name}: {{{replaced}port_forward: {{kube_config: {}, deployment: {DEPLOYMENT}}}}}}}",
            config.display()
        )
    }

    /// The same with this `ssl` section, for another upstream proxy than `default`.
    pub(crate) fn upstream_with(&self, name: &str, ssl: &str) -> String {
        let upstream = self.upstream(name);
        format!("{}, ssl: {ssl}}}}}", upstream.strip_suffix("}}").unwrap())
    }

    /// Adds a ready pod in which `server` runs.
    pub(crate) fn add(&self, name: &str, server: &Proxy) {
        self.add_pod(name, Port::Listener(SocketAddr::from(([127, 0, 0, 1], server.port()))));
    }

    pub(crate) fn add_pod(&self, name: &str, port: Port) {
        self.api.cluster().pods.push(Pod::of(DEPLOYMENT, name, port));
    }

    pub(crate) fn remove(&self, name: &str) {
        self.api.cluster().pods.retain(|pod| pod.name != name);
    }

    /// Marks a pod as terminating.
    pub(crate) fn terminate(&self, name: &str) {
        let mut cluster = self.api.cluster();
        cluster.pods.iter_mut().filter(|pod| pod.name == name).for_each(|pod| pod.terminating = true);
    }

    /// The pods of all port-forward requests, in order.
    pub(crate) fn forwards(&self) -> Vec<String> {
        let requests = self.api.cluster().requests.clone();
        let pod = |path: &String| path.strip_suffix("/portforward")?.rsplit('/').next().map(str::to_owned);
        requests.iter().filter_map(pod).collect()
    }

    pub(crate) fn log_in_with_token(&self, token: &str) {
        self.user(&format!("{{token: {token}}}"));
    }

    /// Makes the API server require a client certificate, and writes one into the kubeconfig. Returns its key in PEM.
    pub(crate) fn log_in_with_certificate(&self) -> String {
        let (certificate, key) = self.pki.client("dev");
        fs::write(self.directory.join("c.pem"), certificate).unwrap();
        fs::write(self.directory.join("c.key"), &key).unwrap();
        self.user("{client-certificate: c.pem, client-key: c.key}");
        let mut cluster = self.api.cluster();
        (cluster.tokens, cluster.certificate) = (None, true);
        key
    }

    /// Makes the API server require the token that a plugin prints. Returns the token, and the secret in the environment of
    /// the plugin.
    pub(crate) fn log_in_with_plugin(&self) -> [String; 2] {
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

    /// Writes a kubeconfig whose credential plugin is this shell script. Returns the directory that it runs in.
    pub(crate) fn plugin(&self, script: &str, more: &str) -> &Path {
        let script = format!("cd \"$(dirname \"$0\")\"\n{script}");
        write_script(&self.directory.join("plugin"), &script);
        self.user(&format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: IfAvailable\
             {more}}}}}"
        ));
        &self.directory
    }

    fn user(&self, user: &str) {
        self.kubeconfig(&format!("https://{}", self.api.address), user);
    }

    /// Turns off the verification of the API server in the kubeconfig.
    pub(crate) fn skip_verification(&self) {
        let path = self.directory.join("config");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("certificate-authority: ca.pem", "insecure-skip-tls-verify: true"))
            .unwrap();
    }

    /// Writes a kubeconfig whose API server is at this port of this machine.
    pub(crate) fn move_to(&self, port: u16) {
        self.kubeconfig(&format!("https://127.0.0.1:{port}"), &format!("{{token: {}}}", self.token));
    }

    /// Writes a kubeconfig for this API server and these credentials.
    pub(crate) fn kubeconfig(&self, server: &str, user: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
             clusters: [{{name: c, cluster: {{server: '{server}', certificate-authority: ca.pem}}}}]\n\
             contexts: [{{name: here, context: {{cluster: c, user: u, namespace: apps}}}}]\n\
             users: [{{name: u, user: {user}}}]\n"
        );
        fs::write(self.directory.join("config"), text).unwrap();
    }
}

//! A world in the making: what it is to have, and how it is started.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_yaml::Value;

use super::certificates::{Authority, Certificate, Validity};
use super::fake_aws::FakeAws;
use super::identity::{AccessKey, Identities};
use super::instance::{Cluster, Database, Instance, REGION};
use super::postgres::Postgres;
use super::proxy::Launch;
use super::scratch;
use super::world::Running;

/// A chain of application, client, server and database, described step by step and then started.
///
/// Without a word it has one instance `db-1` with IAM, a client whose target it is, a server, and plain TCP between the
/// two as over a port-forward. YAML given for a mode is laid over that mode's configuration, and
/// `<NAME>` in it stands for the endpoint of the database NAME, `<postgres>` for that of the real PostgreSQL,
/// `<ca>` and `<foreign-ca>` for CA files, `<certificate>` and `<key>` for those of the proxies, `<directory>` for the
/// world's own directory, and in the client's configuration `<server-port>` for the port of the server.
pub struct World {
    instances: Vec<Instance>,
    clusters: Vec<Cluster>,
    server_yaml: Vec<String>,
    client_yaml: Vec<String>,
    client_flags: Vec<String>,
    environment: Vec<(String, String)>,
    key: Option<AccessKey>,
    target: Option<String>,
    page_size: Option<usize>,
    own_postgres: bool,
    postgres: Option<Arc<Postgres>>,
    server_tls: bool,
    servers: &'static [&'static str],
    no_client: bool,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// The plainest one.
    pub fn new() -> Self {
        Self {
            instances: Vec::new(),
            clusters: Vec::new(),
            server_yaml: Vec::new(),
            client_yaml: Vec::new(),
            client_flags: Vec::new(),
            environment: Vec::new(),
            key: None,
            target: None,
            page_size: None,
            own_postgres: false,
            postgres: None,
            server_tls: false,
            servers: &["server"],
            no_client: false,
        }
    }

    /// Adds an instance. The first one is the client's target, unless [`World::target`] says otherwise.
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<Instance>) -> Self {
        self.instances.push(instance.into());
        self
    }

    /// Adds an Aurora cluster with its instance.
    #[must_use]
    pub fn with_cluster(mut self, cluster: impl Into<Cluster>) -> Self {
        self.clusters.push(cluster.into());
        self
    }

    /// Adds a static target to both configurations.
    #[must_use]
    pub fn with_target(self, name: &str, yaml: &str) -> Self {
        let yaml = format!("targets: {{ {name}: {yaml} }}");
        self.with_server(&yaml).with_client(&yaml)
    }

    /// Lays YAML over the server's configuration.
    #[must_use]
    pub fn with_server(mut self, yaml: &str) -> Self {
        self.server_yaml.push(yaml.to_owned());
        self
    }

    /// Lays YAML over the client's configuration.
    #[must_use]
    pub fn with_client(mut self, yaml: &str) -> Self {
        self.client_yaml.push(yaml.to_owned());
        self
    }

    /// The client's `--target`.
    #[must_use]
    pub fn target(self, name: &str) -> Self {
        Self { target: Some(name.to_owned()), ..self }
    }

    /// Starts the client with a further argument.
    #[must_use]
    pub fn with_client_flag(mut self, flag: &str) -> Self {
        self.client_flags.push(flag.to_owned());
        self
    }

    /// Sets a variable for client and server.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The client's identity is an assumed role for an hour, with a session token.
    #[must_use]
    pub fn with_session_credentials(self) -> Self {
        self.with_key(AccessKey::session(std::time::Duration::from_hours(1)))
    }

    /// The client's identity.
    #[must_use]
    pub fn with_key(self, key: AccessKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// AWS answers with so many databases a page.
    #[must_use]
    pub fn with_page_size(self, size: usize) -> Self {
        Self { page_size: Some(size), ..self }
    }

    /// A PostgreSQL that no other test uses.
    #[must_use]
    pub fn with_own_postgres(self) -> Self {
        Self { own_postgres: true, ..self }
    }

    /// This PostgreSQL behind everything.
    #[must_use]
    pub fn with_postgres(self, postgres: Arc<Postgres>) -> Self {
        Self { postgres: Some(postgres), ..self }
    }

    /// TLS between client and server, verified in full.
    #[must_use]
    pub fn with_server_tls(self) -> Self {
        Self { server_tls: true, ..self }
    }

    /// TLS between application and client, with the same certificate as the server's.
    #[must_use]
    pub fn with_client_tls(self) -> Self {
        self.with_client("proxy: {ssl: {enabled: true, certificate: '<certificate>', private_key: '<key>'}}")
    }

    /// A second server, the client's upstream proxy `second`.
    #[must_use]
    pub fn with_second_server(self) -> Self {
        Self { servers: &["server", "server-2"], ..self }
    }

    /// No server; the client is configured for one that nobody answers as.
    #[must_use]
    pub fn without_server(self) -> Self {
        Self { servers: &[], ..self }
    }

    /// No client; see [`Running::start_client`] and [`Running::client_launch`].
    #[must_use]
    pub fn without_client(self) -> Self {
        Self { no_client: true, ..self }
    }

    /// Starts everything and waits until both proxies listen.
    pub async fn start(mut self) -> Running {
        if self.instances.is_empty() && self.clusters.is_empty() {
            self.instances.push("db-1".into());
        }
        let mut running = self.start_surroundings().await;
        let server_config = running.write_config("server.yaml", &self.server_config(&running));
        for name in self.servers {
            let launch =
                running.launch(Launch::mode(name, "server", &server_config), &running.server_key.clone());
            let proxy = running.start_proxy(launch).await;
            running.proxies.push(proxy);
        }
        running.client_config = running.write_config("client.yaml", &self.client_config(&running));
        if !self.no_client {
            let proxy = running.start_client(&[]).await;
            running.proxies.push(proxy);
        }
        running
    }

    async fn start_surroundings(&self) -> Running {
        let postgres = match &self.postgres {
            Some(postgres) => postgres.clone(),
            None if self.own_postgres => Postgres::start().await,
            None => Postgres::shared().await,
        };
        let identities = Identities::default();
        let key = self.key.clone().unwrap_or_else(AccessKey::lasting);
        // The server may look databases up. That it could log in with its own identity would be a hole.
        let server_key = AccessKey { may_connect: false, ..AccessKey::lasting() };
        identities.add(key.clone());
        identities.add(server_key.clone());
        let aws = FakeAws::start(identities.clone()).await;
        if let Some(size) = self.page_size {
            aws.set_page_size(size);
        }
        let databases = self.start_databases(&postgres, &identities, &aws).await;
        let target = self.target.clone().or_else(|| Some(self.instances.first()?.name.clone()));
        let mut client_flags = self.client_flags.clone();
        client_flags.extend(target.into_iter().flat_map(|target| ["--target".to_owned(), target]));
        Running {
            postgres,
            aws,
            identities,
            key,
            server_key,
            server_certificate: Authority::trusted().issue(&["localhost"], Validity::Now),
            directory: scratch::fresh("world"),
            client_config: PathBuf::new(),
            client_flags,
            environment: self.environment.clone(),
            databases,
            proxies: Vec::new(),
            outputs: std::sync::Mutex::default(),
            extra_secrets: std::sync::Mutex::default(),
            checked: false,
        }
    }

    async fn start_databases(
        &self,
        postgres: &Arc<Postgres>,
        identities: &Identities,
        aws: &FakeAws,
    ) -> Vec<Database> {
        let mut databases = Vec::new();
        for instance in &self.instances {
            databases.push(instance.start(postgres, identities, aws).await);
        }
        for cluster in &self.clusters {
            databases.extend(cluster.start(postgres, identities, aws).await);
        }
        databases
    }

    fn server_config(&self, running: &Running) -> Value {
        let mut config = self.common_config();
        if self.server_tls {
            let Certificate { path, key_path, .. } = &running.server_certificate;
            let (path, key) = (path.display(), key_path.display());
            lay_over(
                &mut config,
                yaml(&format!("proxy: {{ssl: {{enabled: true, certificate: {path}, private_key: {key}}}}}")),
            );
        }
        lay_over_all(config, &self.server_yaml, running)
    }

    fn client_config(&self, running: &Running) -> Value {
        let mut config = self.common_config();
        for (name, server) in [("default", "server"), ("second", "server-2")] {
            let port = match running.proxies.iter().find(|proxy| proxy.name == server) {
                Some(proxy) => proxy.port(),
                None if name == "default" => super::ports::free_port(),
                None => continue,
            };
            let ssl = if self.server_tls {
                format!("{{mode: verify-full, root_certificate: {}}}", Authority::trusted().path.display())
            } else {
                "{mode: disable}".to_owned()
            };
            lay_over(
                &mut config,
                yaml(&format!("upstream_proxies: {{{name}: {{host: 'localhost:{port}', ssl: {ssl}}}}}")),
            );
        }
        lay_over_all(config, &self.client_yaml, running)
    }

    fn common_config(&self) -> Value {
        let clusters = self.clusters.iter().map(|cluster| cluster.region.as_str());
        let mut regions: Vec<_> =
            self.instances.iter().map(|instance| instance.region.as_str()).chain(clusters).collect();
        regions.push(REGION);
        regions.sort_unstable();
        regions.dedup();
        yaml(&format!(
            "{{proxy: {{listen_addr: '127.0.0.1:0'}}, rds: {{regions: [{}], root_certificate: {}}}}}",
            regions.join(", "),
            Authority::trusted().path.display()
        ))
    }
}

impl Running {
    fn write_config(&self, name: &str, config: &Value) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, serde_yaml::to_string(config).unwrap()).unwrap();
        path
    }
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn lay_over_all(mut config: Value, extra: &[String], running: &Running) -> Value {
    for text in extra {
        lay_over(&mut config, yaml(&running.resolve(text)));
    }
    config
}

/// Mappings are merged, everything else is replaced; null removes a key.
fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Mapping(below), Value::Mapping(above)) => {
            for (key, value) in above {
                if value.is_null() {
                    below.remove(&key);
                } else if let Some(known) = below.get_mut(&key) {
                    lay_over(known, value);
                } else {
                    below.insert(key, value);
                }
            }
        }
        (below, above) => *below = above,
    }
}

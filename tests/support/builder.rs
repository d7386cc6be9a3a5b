//! The builder of a test world.

use std::path::PathBuf;
use std::sync::Arc;

use super::certificates::{Authority, Validity};
use super::dsql::Dsql;
use super::fake_aws::FakeAws;
use super::identity::{AccessKey, Identities};
use super::instance::{Cluster, Database, Instance};
use super::postgres::Postgres;
use super::proxy::Launch;
use super::rds_proxy::RdsProxy;
use super::scratch;
use super::world::Running;

/// The builder of a chain of application, client, server and database.
///
/// By default the world has one instance `db-1` with IAM, a client with this target, a server, and plain TCP between the
/// two, as over a port-forward. YAML of a test is merged over the configuration of its mode. It may contain these
/// placeholders: `<NAME>` for the endpoint of the database NAME, `<port of NAME>` for its port, `<postgres>` for the real PostgreSQL, `<ca>` and
/// `<foreign-ca>` for CA files, `<certificate>` and `<key>` for those of the proxies, `<directory>` for the world's
/// directory and, in the client's YAML, `<server-port>` for the port of the server.
pub struct World {
    pub(super) instances: Vec<Instance>,
    pub(super) clusters: Vec<Cluster>,
    rds_proxies: Vec<RdsProxy>,
    dsql: Vec<Dsql>,
    pub(super) server_yaml: Vec<String>,
    pub(super) client_yaml: Vec<String>,
    client_flags: Vec<String>,
    environment: Vec<(String, String)>,
    key: Option<AccessKey>,
    target: Option<String>,
    page_size: Option<usize>,
    own_postgres: bool,
    postgres: Option<Arc<Postgres>>,
    pub(super) server_tls: bool,
    servers: &'static [&'static str],
    no_client: bool,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A world with the defaults.
    pub fn new() -> Self {
        Self {
            instances: Vec::new(),
            clusters: Vec::new(),
            rds_proxies: Vec::new(),
            dsql: Vec::new(),
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

    /// Adds an instance. The first one is the client's target, unless [`World::target`] sets another.
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

    /// Adds an RDS Proxy.
    #[must_use]
    pub fn with_rds_proxy(mut self, proxy: RdsProxy) -> Self {
        self.rds_proxies.push(proxy);
        self
    }

    /// Adds a cluster of Aurora DSQL.
    #[must_use]
    pub fn with_dsql(mut self, cluster: Dsql) -> Self {
        self.dsql.push(cluster);
        self
    }

    /// Adds a static target to both configurations.
    #[must_use]
    pub fn with_target(self, name: &str, yaml: &str) -> Self {
        let yaml = format!("targets: {{ {name}: {yaml} }}");
        self.with_server(&yaml).with_client(&yaml)
    }

    /// Merges YAML over the server's configuration.
    #[must_use]
    pub fn with_server(mut self, yaml: &str) -> Self {
        self.server_yaml.push(yaml.to_owned());
        self
    }

    /// Merges YAML over the client's configuration.
    #[must_use]
    pub fn with_client(mut self, yaml: &str) -> Self {
        self.client_yaml.push(yaml.to_owned());
        self
    }

    /// Sets the client's `--target`.
    #[must_use]
    pub fn target(self, name: &str) -> Self {
        Self { target: Some(name.to_owned()), ..self }
    }

    /// Adds an argument of the client.
    #[must_use]
    pub fn with_client_flag(mut self, flag: &str) -> Self {
        self.client_flags.push(flag.to_owned());
        self
    }

    /// Sets an environment variable of client and server.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives the client the credentials of an assumed role, with a session token, for one hour.
    #[must_use]
    pub fn with_session_credentials(self) -> Self {
        self.with_key(AccessKey::session(std::time::Duration::from_hours(1)))
    }

    /// Sets the client's access key.
    #[must_use]
    pub fn with_key(self, key: AccessKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// Limits AWS pages to this many databases.
    #[must_use]
    pub fn with_page_size(self, size: usize) -> Self {
        Self { page_size: Some(size), ..self }
    }

    /// Starts a PostgreSQL that no other test uses.
    #[must_use]
    pub fn with_own_postgres(self) -> Self {
        Self { own_postgres: true, ..self }
    }

    /// Uses this PostgreSQL.
    #[must_use]
    pub fn with_postgres(self, postgres: Arc<Postgres>) -> Self {
        Self { postgres: Some(postgres), ..self }
    }

    /// Adds TLS between client and server, with `verify-full`.
    #[must_use]
    pub fn with_server_tls(self) -> Self {
        Self { server_tls: true, ..self }
    }

    /// Adds TLS between application and client, with the server's certificate.
    #[must_use]
    pub fn with_client_tls(self) -> Self {
        self.with_client("proxy: {ssl: {enabled: true, certificate: '<certificate>', private_key: '<key>'}}")
    }

    /// Adds a second server: the client's upstream proxy `second`.
    #[must_use]
    pub fn with_second_server(self) -> Self {
        Self { servers: &["server", "server-2"], ..self }
    }

    /// Starts no server. The client's upstream proxy is a closed port.
    #[must_use]
    pub fn without_server(self) -> Self {
        Self { servers: &[], ..self }
    }

    /// Starts no client; see [`Running::start_client`] and [`Running::client_launch`].
    #[must_use]
    pub fn without_client(self) -> Self {
        Self { no_client: true, ..self }
    }

    /// Starts all parts and waits until the proxies listen.
    pub async fn start(mut self) -> Running {
        if self.instances.is_empty() && self.clusters.is_empty() {
            self.instances.push("db-1".into());
        }
        let mut running = self.start_without_proxies().await;
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

    async fn start_without_proxies(&self) -> Running {
        let postgres = match &self.postgres {
            Some(postgres) => postgres.clone(),
            None if self.own_postgres => Postgres::start().await,
            None => Postgres::shared().await,
        };
        let identities = Identities::default();
        let key = self.key.clone().unwrap_or_else(AccessKey::long_lived);
        // The server may list databases but must not log in with its own identity.
        let server_key = AccessKey { may_connect: false, ..AccessKey::long_lived() };
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
            directory: scratch::new_directory("world"),
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
        for proxy in &self.rds_proxies {
            databases.extend(proxy.start(postgres, identities, aws).await);
        }
        for cluster in &self.dsql {
            databases.push(cluster.start(postgres, identities, aws).await);
        }
        databases
    }
}

//! A running test world, and the search for leaked secrets at its end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::process::Command;
use tokio_postgres::error::DbError;
use tokio_postgres::{Client, NoTls};

use super::certificates::Certificate;
use super::fake_aws::FakeAws;
use super::fake_rds::FakeRds;
use super::identity::{AccessKey, Identities};
use super::instance::{Database, Instance, REGION};
use super::output::{Leak, Output, Secrets};
use super::postgres::Postgres;
use super::proxy::{Launch, Proxy};
use super::roles::DATABASE;
use super::runtime;

/// The parts of a started [`super::builder::World`].
pub struct Running {
    pub postgres: Arc<Postgres>,
    pub aws: FakeAws,
    pub identities: Identities,
    /// The client's access key.
    pub key: AccessKey,
    pub server_key: AccessKey,
    /// The server's certificate with [`super::builder::World::with_server_tls`].
    pub server_certificate: Certificate,
    /// The directory of the configuration files.
    pub directory: PathBuf,
    pub(super) client_config: PathBuf,
    pub(super) client_flags: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) databases: Vec<Database>,
    pub(super) proxies: Vec<Proxy>,
    pub(super) outputs: Mutex<Vec<Output>>,
    pub(super) extra_secrets: Mutex<Vec<String>>,
    pub(super) checked: bool,
}

impl Running {
    /// The database with this name; those of a cluster are `NAME/writer`, `NAME/reader` and `NAME/custom`.
    pub fn database(&self, name: &str) -> &FakeRds {
        let found = self.databases.iter().find(|database| database.name == name);
        &found.unwrap_or_else(|| panic!("there is no database {name}")).rds
    }

    /// The first database.
    pub fn rds(&self) -> &FakeRds {
        &self.databases[0].rds
    }

    /// The client that was started with the world.
    pub fn client(&self) -> &Proxy {
        self.proxy("client")
    }

    /// The server that was started with the world.
    pub fn server(&self) -> &Proxy {
        self.proxy("server")
    }

    /// A proxy that was started with the world: `server`, `server-2` or `client`.
    pub fn proxy(&self, name: &str) -> &Proxy {
        let found = self.proxies.iter().find(|proxy| proxy.name == name);
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The mutable form of [`Running::proxy`], to stop or kill it.
    pub fn proxy_mut(&mut self, name: &str) -> &mut Proxy {
        let found = self.proxies.iter_mut().find(|proxy| proxy.name == name);
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// Runs an SQL text with psql through the client. Returns its output or its error text.
    pub async fn psql(&self, user: &str, sql: &str) -> Result<String, String> {
        let output = self.psql_command(self.client(), user).args(["-c", sql]).output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// A psql command for a proxy, with unaligned output and an empty environment.
    pub fn psql_command(&self, proxy: &Proxy, user: &str) -> Command {
        let mut command = Command::new("psql");
        command
            .args(["-X", "-A", "-t", "-h", "127.0.0.1", "-U", user, "-d", DATABASE])
            .args(["-p", &proxy.port().to_string(), "-v", "ON_ERROR_STOP=1", "-w"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.directory)
            .env("PGCONNECT_TIMEOUT", "60")
            .kill_on_drop(true);
        command
    }

    /// Connects through the client.
    pub async fn connect(&self, user: &str) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.client().config(user).connect(NoTls).await?;
        runtime::spawn(connection);
        Ok(client)
    }

    /// The error of a refused login through the client.
    pub async fn refusal(&self, user: &str) -> DbError {
        refusal(self.client(), user).await
    }

    /// Adds an instance after the start of the world.
    pub async fn add_instance(&mut self, instance: impl Into<Instance>) {
        let database = instance.into().start(&self.postgres, &self.identities, &self.aws).await;
        self.databases.push(database);
    }

    /// The launch of the server, for a world without one.
    pub fn server_launch(&self) -> Launch {
        let launch = Launch::mode("server", "server", &self.directory.join("server.yaml"));
        self.launch(launch, &self.server_key)
    }

    /// Starts another client with the world's configuration. A `--target` in `flags` replaces the world's.
    pub async fn start_client(&self, flags: &[&str]) -> Proxy {
        self.start_proxy(self.client_launch(flags)).await
    }

    /// Starts a proxy. The world searches its output for secrets at the end.
    pub async fn start_proxy(&self, launch: Launch) -> Proxy {
        let proxy = launch.start().await.unwrap_or_else(|ended| {
            panic!("the proxy does not listen (code {:?})\n{}\n{}", ended.code, ended.stdout, ended.stderr)
        });
        self.outputs.lock().unwrap().extend([proxy.stdout.clone(), proxy.stderr.clone()]);
        proxy
    }

    /// The launch of a client. A `--target` in `flags` replaces the world's.
    pub fn client_launch(&self, flags: &[&str]) -> Launch {
        let mut launch = Launch::mode("client", "client", &self.client_config).with(flags);
        let mut world_flags = self.client_flags.iter();
        while let Some(flag) = world_flags.next() {
            if flag == "--target" && flags.contains(&"--target") {
                world_flags.next();
            } else {
                launch.arguments.push(flag.clone());
            }
        }
        self.launch(launch, &self.key)
    }

    /// A launch with the environment of this world and the access key `key`.
    pub fn launch(&self, launch: Launch, key: &AccessKey) -> Launch {
        let mut launch = launch
            .env("AWS_ENDPOINT_URL", &self.aws.url)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", &key.id)
            .env("AWS_SECRET_ACCESS_KEY", &key.secret);
        if let Some(token) = &key.session_token {
            launch = launch.env("AWS_SESSION_TOKEN", token);
        }
        launch.environment.extend(self.environment.iter().cloned());
        launch
    }

    /// Adds a secret to the search at the end.
    pub fn add_secret(&self, secret: &str) {
        self.extra_secrets.lock().unwrap().push(secret.to_owned());
    }

    /// Stops client and servers, which must exit cleanly, and searches their output for secrets.
    pub async fn stop(mut self) {
        for mut proxy in std::mem::take(&mut self.proxies).into_iter().rev() {
            proxy.stop().await;
        }
        self.check();
    }

    /// The secrets that the proxies have printed so far.
    pub fn leaks(&self) -> Vec<Leak> {
        let secrets = self.secrets();
        self.outputs.lock().unwrap().iter().flat_map(|output| secrets.leaks(output)).collect()
    }

    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        for key in self.identities.all() {
            secrets.add("secret access key", &key.secret);
            if let Some(token) = &key.session_token {
                secrets.add("session token", token);
            }
        }
        for database in &self.databases {
            // Passwords this short are no tokens, and the search would find them by chance.
            database
                .rds
                .tokens()
                .iter()
                .filter(|token| token.len() >= 8)
                .for_each(|token| secrets.add_token(token));
            secrets.add_key(&database.certificate.key_pem);
        }
        secrets.add_key(&self.server_certificate.key_pem);
        self.postgres.passwords().iter().for_each(|password| secrets.add("password", password));
        self.extra_secrets
            .lock()
            .unwrap()
            .iter()
            .for_each(|secret| secrets.add("secret of the test", secret));
        secrets
    }

    fn check(&mut self) {
        self.checked = true;
        let leaks = self.leaks();
        let leaks: Vec<_> = leaks.iter().map(ToString::to_string).collect();
        assert!(leaks.is_empty(), "secrets were printed:\n{}", leaks.join("\n"));
    }
}

/// The error of a refused login through `proxy`.
pub async fn refusal(proxy: &Proxy, user: &str) -> DbError {
    let Err(error) = proxy.config(user).connect(NoTls).await else { panic!("the login of {user} succeeded") };
    error.as_db_error().unwrap_or_else(|| panic!("no ErrorResponse: {error:?}")).clone()
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for output in self.outputs.lock().unwrap().iter() {
                eprintln!("{}", output.tail(60));
            }
        } else if !self.checked {
            for proxy in &mut self.proxies {
                proxy.kill();
            }
            for output in self.outputs.lock().unwrap().iter() {
                output.wait_for_end(Duration::from_millis(500));
            }
            self.check();
        }
    }
}

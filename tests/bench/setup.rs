//! The two topologies of the benchmark with one PostgreSQL, and its data.

use std::process::Command;
use std::time::Duration;

use crate::front_door;
use crate::process::Process;
use crate::support::builder::World;
use crate::support::proxy::Proxy;
use crate::support::roles::DATABASE;
use crate::support::world::Running;

/// A user with a cleartext password over TLS, like an IAM user on RDS.
pub(crate) const USER: &str = "by_password";

/// A user with an IAM token.
pub(crate) const IAM_USER: &str = "alice";

/// Rows of the tables `wide` and `narrow`, and the bytes of a row in COPY: 1 KiB and 100 bytes.
pub(crate) const WIDE: (u32, u32) = (150_000, 1024);
pub(crate) const NARROW: (u32, u32) = (1_000_000, 100);

/// How an application reaches the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// Directly to PostgreSQL over TLS.
    Direct,
    /// Through client and server. TLS only to PostgreSQL, as over a port-forward.
    Chain,
    /// Through the server alone, with TLS on both legs.
    FrontDoor,
}

/// The processes under measurement.
pub(crate) struct Setup {
    pub(crate) world: Running,
    pub(crate) client: Proxy,
    /// A client for the IAM user, with the fake RDS as target.
    pub(crate) iam_client: Proxy,
}

impl Setup {
    /// Starts the chain and fills the tables.
    pub(crate) async fn start() -> Self {
        let world = World::new()
            .with_own_postgres()
            .with_target("measured", "{host: <postgres>, ssl: {mode: verify-full, root_certificate: <ca>}}")
            .with_server(&front_door::server())
            .with_env("LOG_LEVEL", "info")
            .without_client()
            .start()
            .await;
        let password = world.postgres.password(USER);
        let launch = world.client_launch(&["--target", "measured"]);
        let client = world.start_proxy(launch.env("RDS_AUTH_PROXY_PASSWORD", password)).await;
        let iam_client = world.start_client(&["--target", "db-1"]).await;
        let setup = Self { world, client, iam_client };
        setup.fill();
        setup
    }

    fn fill(&self) {
        let table = |name: &str, (rows, width): (u32, u32)| {
            // The row in COPY includes a newline, a tab and the number.
            let text = format!("repeat(md5(i::text), 32)::varchar({})", width - 9);
            format!(
                "CREATE UNLOGGED TABLE {name} WITH (autovacuum_enabled = off) AS
                 SELECT (9999999 - i)::int AS id, {text} AS text FROM generate_series(1, {rows}) i;"
            )
        };
        let script = format!(
            "{} {} CREATE UNLOGGED TABLE sink (LIKE narrow) WITH (autovacuum_enabled = off);
             GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;",
            table("wide", WIDE),
            table("narrow", NARROW)
        );
        let superuser = |program: &str| {
            let mut command = Command::new(program);
            command
                .env("PGHOST", &self.world.postgres.socket_directory)
                .env("PGPORT", self.world.postgres.port.to_string())
                .env("PGUSER", "postgres")
                .env("PGDATABASE", DATABASE);
            command
        };
        output(superuser("pgbench").args(["--initialize", "--quiet", "--unlogged-tables"]));
        output(superuser("psql").args(["-X", "-v", "ON_ERROR_STOP=1", "-c", &script]));
        output(superuser("psql").args(["-X", "-c", "VACUUM ANALYZE", "-c", "CHECKPOINT"]));
    }

    /// A libpq program that connects in this topology.
    pub(crate) fn command(&self, topology: Topology, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("PGHOST", "127.0.0.1").env("PGUSER", USER).env("PGDATABASE", DATABASE);
        match topology {
            Topology::Direct => command
                .env("PGPORT", self.world.postgres.port.to_string())
                .env("PGPASSWORD", self.world.postgres.password(USER))
                .env("PGSSLMODE", "require"),
            Topology::Chain => {
                command.env("PGPORT", self.client.port().to_string()).env("PGSSLMODE", "disable")
            }
            Topology::FrontDoor => command
                .env("PGPORT", self.world.server().port().to_string())
                .env("PGPASSWORD", self.world.postgres.password(USER))
                .env("PGSSLMODE", "require"),
        };
        command
    }

    /// A libpq program that connects through the chain as the IAM user.
    pub(crate) fn iam_command(&self, program: &str) -> Command {
        let mut command = self.command(Topology::Chain, program);
        command.env("PGPORT", self.iam_client.port().to_string()).env("PGUSER", IAM_USER);
        command
    }

    /// Client and server.
    pub(crate) fn layers(&self) -> [Process; 2] {
        [Process(self.client.id()), Process(self.world.server().id())]
    }

    /// CPU time of all proxies so far.
    pub(crate) fn cpu(&self) -> Duration {
        let [client, server] = self.layers();
        client.cpu() + server.cpu() + Process(self.iam_client.id()).cpu()
    }
}

/// Runs a command, which must succeed, and returns its output.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", command.get_program().display());
    String::from_utf8(output.stdout).unwrap()
}

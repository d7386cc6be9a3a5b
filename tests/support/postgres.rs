//! A real PostgreSQL cluster in the scratch directory, on a free loopback port.
//!
//! Over TCP, with or without TLS, it authenticates each role as its group says, see [`super::roles`]. Over its Unix
//! socket it accepts the superuser and the members of `rds_iam` without a password: the fake RDS connects there after it
//! verified a token. `RDS_AUTH_PROXY_TEST_PG_BIN` names the directory of another version's binaries.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use super::certificates::{Authority, Certificate, Validity};
use super::ports::free_port;
use super::{roles, runtime, scratch};

/// The `pg_hba.conf`. The first matching line decides.
const HBA: &str = "
local all postgres                     trust
local all,replication +rds_iam         trust
local all all                          reject
host  all,replication +rds_iam all     reject
host  all +login_by_trust   all        trust
host  all +login_by_password all       password
host  all +login_by_md5     all        md5
host  all,replication all   all        scram-sha-256
";

const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "max_connections=500",
    "ssl=on",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "log_connections=on",
    "log_line_prefix=%m [%p] %u@%d ",
];

/// A running cluster. It ends with [`Postgres::stop`], when dropped, or with the process.
pub struct Postgres {
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
    /// The directory of its Unix socket, for `host_path` of tokio-postgres and for `PGHOST`.
    pub socket_directory: PathBuf,
    /// Its server certificate for `localhost` and `127.0.0.1`, from the trusted authority.
    pub certificate: Certificate,
    pub(super) roles: roles::Roles,
    log: PathBuf,
    server: Mutex<Child>,
    superuser: Client,
}

impl Postgres {
    /// The cluster that all tests of this process share.
    pub async fn shared() -> Arc<Self> {
        static SHARED: OnceCell<Arc<Postgres>> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await.clone()
    }

    /// Starts a separate cluster, for a test that breaks it.
    pub async fn start() -> Arc<Self> {
        Self::start_installed(Installation::find()).await
    }

    /// Starts a separate cluster with further settings, such as `max_connections=50`.
    pub async fn start_with(settings: &'static [&'static str]) -> Arc<Self> {
        Self::start_installed(Installation { settings, ..Installation::find() }).await
    }

    /// Starts a separate cluster with the binaries of this directory.
    pub async fn start_from(binaries: &Path) -> Arc<Self> {
        Self::start_installed(Installation::at(binaries.to_owned())).await
    }

    async fn start_installed(installation: Installation) -> Arc<Self> {
        let postgres = runtime::within(async move {
            let layout = Layout::create();
            installation.initialize(&layout);
            installation.start(&layout).await
        })
        .await;
        roles::create_standard(&postgres).await;
        Arc::new(postgres)
    }

    /// Runs statements as the superuser, in the database `postgres`.
    pub async fn execute(&self, sql: &str) {
        self.superuser.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Runs a query as the superuser. Returns the first column of the first row as text, none without rows.
    pub async fn value(&self, sql: &str) -> Option<String> {
        let messages =
            self.superuser.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Sends SIGQUIT (immediate shutdown): every session ends at once.
    pub fn stop(&self) {
        let mut server = self.server.lock().unwrap();
        if server.try_wait().unwrap().is_none() {
            let _ = rustix::process::kill_process(Pid::from_child(&server), Signal::QUIT);
            server.wait().unwrap();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The PostgreSQL binaries and the user that runs them.
struct Installation {
    binaries: PathBuf,
    /// User and group id if the tests run as root, as which PostgreSQL does not start.
    user: Option<(u32, u32)>,
    /// Settings that override [`SETTINGS`].
    settings: &'static [&'static str],
}

impl Installation {
    fn find() -> Self {
        let binaries = candidates().into_iter().find(|directory| directory.join("initdb").exists());
        let binaries = binaries.expect("no PostgreSQL found: install it or set RDS_AUTH_PROXY_TEST_PG_BIN");
        Self::at(binaries)
    }

    fn at(binaries: PathBuf) -> Self {
        let user = rustix::process::geteuid().is_root().then(unprivileged_user);
        Self { binaries, user, settings: &[] }
    }

    fn initialize(&self, layout: &Layout) {
        if let Some((user, group)) = self.user {
            for path in [&layout.root, &layout.data, &layout.certificate.path, &layout.certificate.key_path] {
                std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
            }
        }
        let output = self
            .command("initdb")
            .arg("-D")
            .arg(&layout.data)
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .current_dir(&layout.root)
            .output()
            .unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Tries several ports, since another process may take a port between its choice and the start.
    async fn start(&self, layout: &Layout) -> Postgres {
        for _ in 0..5 {
            let port = free_port();
            let server = self.spawn(layout, port);
            if let Ok(postgres) = wait_until_ready(layout, port, server).await {
                return postgres;
            }
        }
        panic!("PostgreSQL does not start: {}", fs::read_to_string(&layout.log).unwrap());
    }

    fn spawn(&self, layout: &Layout, port: u16) -> Child {
        let log = fs::File::options().create(true).append(true).open(&layout.log).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(&layout.data);
        for setting in SETTINGS.iter().chain(self.settings) {
            command.args(["-c", setting]);
        }
        command
            .arg("-c")
            .arg(format!("port={port}"))
            .arg("-c")
            .arg(format!("unix_socket_directories={}", layout.root.display()))
            .arg("-c")
            .arg(format!("hba_file={}", layout.hba.display()))
            .arg("-c")
            .arg(format!("ssl_cert_file={}", layout.certificate.path.display()))
            .arg("-c")
            .arg(format!("ssl_key_file={}", layout.certificate.key_path.display()))
            .current_dir(&layout.root)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        let mut command = match self.user {
            None => Command::new(program),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
                command.arg(program);
                command
            }
        };
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
        command
    }
}

/// The files of a cluster.
struct Layout {
    root: PathBuf,
    data: PathBuf,
    hba: PathBuf,
    log: PathBuf,
    certificate: Certificate,
}

impl Layout {
    fn create() -> Self {
        let root = scratch::new_directory("pg");
        let (data, hba, log) = (root.join("data"), root.join("pg_hba.conf"), root.join("server.log"));
        fs::create_dir(&data).unwrap();
        fs::write(&hba, HBA).unwrap();
        let certificate = Authority::trusted().issue(&["localhost", "127.0.0.1"], Validity::Now);
        Self { root, data, hba, log, certificate }
    }
}

async fn wait_until_ready(layout: &Layout, port: u16, mut server: Child) -> Result<Postgres, ()> {
    for _ in 0..600 {
        if let Ok(superuser) = connect_superuser(&layout.root, port, "postgres").await {
            // Databases inherit the grants of the template.
            let template = connect_superuser(&layout.root, port, "template1").await.unwrap();
            template.batch_execute("GRANT ALL ON SCHEMA public TO PUBLIC").await.unwrap();
            return Ok(Postgres {
                port,
                socket_directory: layout.root.clone(),
                certificate: layout.certificate.clone(),
                roles: roles::Roles::default(),
                log: layout.log.clone(),
                server: Mutex::new(server),
                superuser,
            });
        }
        if server.try_wait().unwrap().is_some() {
            return Err(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _ = server.kill();
    server.wait().unwrap();
    Err(())
}

async fn connect_superuser(
    socket_directory: &Path,
    port: u16,
    database: &str,
) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host_path(socket_directory).port(port).user("postgres").dbname(database);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Directories with binaries: that of the variable, or those of Debian's packages, newest first, and of `pg_config`.
fn candidates() -> Vec<PathBuf> {
    if let Some(directory) = std::env::var_os("RDS_AUTH_PROXY_TEST_PG_BIN") {
        return vec![directory.into()];
    }
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    versions.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    let mut found: Vec<PathBuf> = versions.iter().rev().map(|version| version.join("bin")).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    found
}

fn unprivileged_user() -> (u32, u32) {
    let id = |flag, user| {
        let output = Command::new("id").args([flag, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|user| Some((id("-u", user)?, id("-g", user)?)))
        .expect("neither a user `postgres` nor `nobody` to run PostgreSQL as")
}

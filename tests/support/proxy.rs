//! Runs the real binary, with a clean environment and all it prints collected.
//!
//! How a test learns the port of a proxy that listens on port 0: both modes log the message `listening` with a field
//! `address` on standard error, in JSON (server) or as `address=…` in a line of text (client).

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use super::output::Output;
use super::roles::DATABASE;
use super::{runtime, scratch};

/// How long a proxy may take to listen, and to stop.
const PATIENCE: Duration = Duration::from_secs(45);

/// What to run.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The name in reports: `server`, `client`.
    pub name: String,
    pub binary: PathBuf,
    pub arguments: Vec<String>,
    /// All there is of it, but `PATH`, `HOME` (an empty directory) and `LOG_LEVEL=trace`.
    pub environment: Vec<(String, String)>,
}

/// A running proxy that listens. It is killed when dropped.
pub struct Proxy {
    pub name: String,
    /// What it said it listens on: `127.0.0.1:12345`, or the path of a socket.
    pub address: String,
    pub stdout: Output,
    pub stderr: Output,
    child: Child,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Launch {
    /// The binary that cargo built for these tests.
    pub fn new(name: &str, arguments: &[&str]) -> Self {
        let Some(binary) = option_env!("CARGO_BIN_EXE_rds-auth-proxy") else {
            panic!("only tests and benches know the binary");
        };
        Self {
            name: name.to_owned(),
            binary: binary.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: Vec::new(),
        }
    }

    /// One of the two modes with its configuration file.
    pub fn mode(name: &str, mode: &str, config: &Path) -> Self {
        Self::new(name, &[mode, "--configfile", config.to_str().unwrap()])
    }

    /// Adds arguments.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it and waits until it listens; what it printed if it ends instead.
    pub async fn start(self) -> Result<Proxy, Finished> {
        let (mut child, stdout, stderr) = self.spawn().await;
        if let Some(address) = stderr.wait_for(PATIENCE, listening_address).await {
            return Ok(Proxy { name: self.name, address, stdout, stderr, child });
        }
        let ended = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
        let _ = child.kill().await;
        let code = ended.ok().and_then(|status| status.unwrap().code());
        Err(Finished { code, stdout: stdout.text(), stderr: stderr.text() })
    }

    /// Runs it to its end.
    pub async fn run(self) -> Finished {
        let (mut child, stdout, stderr) = self.spawn().await;
        let status = tokio::time::timeout(PATIENCE, child.wait()).await;
        let status =
            status.unwrap_or_else(|_| panic!("{} does not end: {}", self.name, stderr.text())).unwrap();
        // A grandchild may hold the streams open: the wait is limited.
        stdout.wait_for(PATIENCE, |_| None::<()>).await;
        stderr.wait_for(PATIENCE, |_| None::<()>).await;
        Finished { code: status.code(), stdout: stdout.text(), stderr: stderr.text() }
    }

    async fn spawn(&self) -> (Child, Output, Output) {
        let mut command = self.command();
        // On the world's threads: they outlive the test, and with setpriv the child dies with its parent thread.
        let mut child = runtime::within(async move { command.spawn().unwrap() }).await;
        let stdout = Output::collect(format!("{}'s stdout", self.name), child.stdout.take().unwrap());
        let stderr = Output::collect(format!("{}'s stderr", self.name), child.stderr.take().unwrap());
        (child, stdout, stderr)
    }

    fn command(&self) -> Command {
        let mut command = if cfg!(target_os = "linux") {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]).arg(&self.binary);
            command
        } else {
            Command::new(&self.binary)
        };
        let home = scratch::new_directory("home");
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("LOG_LEVEL", "trace")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Proxy {
    /// The port it listens on.
    pub fn port(&self) -> u16 {
        let port = self.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.unwrap_or_else(|| panic!("{} is no address with a port", self.address))
    }

    /// How tokio-postgres reaches it.
    pub fn config(&self, user: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port()).user(user).dbname(DATABASE);
        config
    }

    /// Its process id, for measurements.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or_else(|| panic!("the {} has ended", self.name))
    }

    /// The most memory it ever had, in kB; none where the system does not tell (`proc_pid_status`, `VmHWM`).
    pub fn peak_memory(&self) -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// Waits until a line with `text` is in its log.
    pub async fn wait_for_log(&self, text: &str) {
        let found = self.stderr.wait_for(PATIENCE, |log| log.contains(text).then_some(())).await;
        assert!(found.is_some(), "`{text}` is not in the log\n{}", self.stderr.tail(40));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self) -> ExitStatus {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let Ok(status) = status else { panic!("the {} does not end\n{}", self.name, self.stderr.tail(40)) };
        self.stdout.wait_for(PATIENCE, |_| None::<()>).await;
        self.stderr.wait_for(PATIENCE, |_| None::<()>).await;
        status.unwrap()
    }

    /// Asks it to stop, as Kubernetes and systemd do, and expects a clean exit.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait().await;
        assert!(status.success(), "the {} ended with {status}\n{}", self.name, self.stderr.tail(40));
    }

    /// Ends it at once, without a chance to say goodbye.
    pub fn kill(&mut self) {
        let _ = self.child.start_kill();
    }
}

/// The address in the first `listening` line of a log.
fn listening_address(log: &str) -> Option<String> {
    log.lines().find_map(|line| {
        let Ok(json) = serde_json::from_str::<serde_json::Value>(line) else { return listening_text(line) };
        let field = |name: &str| json.get(name).or_else(|| json.get("fields")?.get(name))?.as_str();
        if field("message") == Some("listening") { field("address").map(str::to_owned) } else { None }
    })
}

fn listening_text(line: &str) -> Option<String> {
    let (before, rest) = line.split_once("address=")?;
    let address = rest.split_whitespace().next()?.trim_matches('"');
    before.contains("listening").then(|| address.to_owned())
}

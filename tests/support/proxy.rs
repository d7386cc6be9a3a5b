//! Runs the real binary with a clean environment and collects its output.
//!
//! A proxy listens on port 0. Its address is in the log message `listening` on standard error: as the field `address`
//! of a JSON line (server) or as `address=…` in a line of text (client).

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use super::output::Output;
use super::roles::DATABASE;
use super::{runtime, scratch};

/// How long a proxy may take to listen or to stop.
const PATIENCE: Duration = Duration::from_secs(45);

/// A command line with its environment.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The name in reports: `server`, `client`.
    pub name: String,
    pub binary: PathBuf,
    pub arguments: Vec<String>,
    /// Variables besides `PATH`, `HOME` (an empty directory), `LOG_LEVEL=trace` and `AWS_EC2_METADATA_DISABLED=true`.
    pub environment: Vec<(String, String)>,
}

/// A running proxy that listens. Dropping it kills the process.
pub struct Proxy {
    pub name: String,
    /// The address it listens on: `127.0.0.1:12345`, or the path of a socket.
    pub address: String,
    pub stdout: Output,
    pub stderr: Output,
    child: Child,
}

/// The result of a command.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; none if a signal ended the process.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Launch {
    /// A launch of the binary that cargo built for these tests.
    pub fn new(name: &str, arguments: &[&str]) -> Self {
        let Some(binary) = option_env!("CARGO_BIN_EXE_rds-auth-proxy") else {
            panic!("cargo sets the path of the binary only for tests and benches");
        };
        Self {
            name: name.to_owned(),
            binary: binary.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: Vec::new(),
        }
    }

    /// A launch of `client` or `server` with a configuration file.
    pub fn mode(name: &str, mode: &str, config: &Path) -> Self {
        Self::new(name, &[mode, "--configfile", config.to_str().unwrap()])
    }

    /// Adds arguments.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts the proxy and waits until it listens. Returns its result if it ends instead.
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

    /// The same command, run by a shell after this `preparation`: redirections, limits.
    #[must_use]
    pub fn in_shell(mut self, preparation: &str) -> Self {
        let binary = std::mem::replace(&mut self.binary, "/bin/sh".into());
        let script = format!("{preparation}; exec \"$0\" \"$@\"");
        let shell = ["-c".to_owned(), script, binary.to_str().unwrap().to_owned()];
        self.arguments.splice(0..0, shell);
        self
    }

    /// Starts a proxy whose log cannot be read, and waits until this address accepts connections.
    pub async fn start_at(self, address: &str) -> Proxy {
        let (child, stdout, stderr) = self.spawn().await;
        let deadline = std::time::Instant::now() + PATIENCE;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(std::time::Instant::now() < deadline, "{} does not listen: {}", self.name, stderr.text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Proxy { name: self.name, address: address.to_owned(), stdout, stderr, child }
    }

    /// Runs the command to its end.
    pub async fn run(self) -> Finished {
        let (mut child, stdout, stderr) = self.spawn().await;
        let status = tokio::time::timeout(PATIENCE, child.wait()).await;
        let status =
            status.unwrap_or_else(|_| panic!("{} does not end: {}", self.name, stderr.text())).unwrap();
        // The wait has a limit since a grandchild may keep the streams open.
        stdout.wait_for(PATIENCE, |_| None::<()>).await;
        stderr.wait_for(PATIENCE, |_| None::<()>).await;
        Finished { code: status.code(), stdout: stdout.text(), stderr: stderr.text() }
    }

    async fn spawn(&self) -> (Child, Output, Output) {
        let mut command = self.command();
        // setpriv kills the child when its parent thread ends; the world's threads outlive the test.
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
        port.unwrap_or_else(|| panic!("{} has no port", self.address))
    }

    /// A tokio-postgres configuration that connects to it.
    pub fn config(&self, user: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port()).user(user).dbname(DATABASE);
        config
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or_else(|| panic!("the {} has ended", self.name))
    }

    /// Its peak resident memory in kB (`VmHWM`, `proc_pid_status(5)`); none if the system does not report it.
    pub fn peak_memory(&self) -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Its log, once no line has arrived for a moment.
    pub fn log(&self) -> String {
        self.stderr.settled()
    }

    /// Waits until its log contains a line with `text`.
    pub async fn wait_for_log(&self, text: &str) {
        let found = self.stderr.wait_for(PATIENCE, |log| log.contains(text).then_some(())).await;
        assert!(found.is_some(), "`{text}` is not in the log\n{}", self.stderr.tail(40));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until the process ends.
    pub async fn wait(&mut self) -> ExitStatus {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let Ok(status) = status else { panic!("the {} does not end\n{}", self.name, self.stderr.tail(40)) };
        self.stdout.wait_for(PATIENCE, |_| None::<()>).await;
        self.stderr.wait_for(PATIENCE, |_| None::<()>).await;
        status.unwrap()
    }

    /// The status of a process that ends within this time; its output may stay open.
    pub async fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(limit, self.child.wait()).await.ok().map(Result::unwrap)
    }

    /// Sends SIGTERM, as Kubernetes and systemd do, and expects a clean exit.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait().await;
        assert!(status.success(), "the {} ended with {status}\n{}", self.name, self.stderr.tail(40));
    }

    /// Kills the process.
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

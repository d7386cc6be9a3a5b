//! A program on a terminal, which the program `script` provides, and its keyboard.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use super::output::Output;
use super::proxy::Launch;
use super::runtime;
use super::scratch;

/// The terminal. Dropping it ends the program.
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: Output,
}

/// The command line of a launch, as a shell reads it.
pub fn line(launch: &Launch) -> String {
    let words = std::iter::once(launch.binary.display().to_string()).chain(launch.arguments.iter().cloned());
    words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

/// The program `script`, which runs this line of a shell. It has a separate home directory and no other variables.
pub fn script(line: &str) -> Command {
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", line, "/dev/null"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", scratch::new_directory("home"))
        .env("TERM", "xterm")
        .env("PAGER", "cat")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Terminal {
    /// Starts this launch on a terminal, with its variables.
    pub async fn launch(launch: &Launch) -> Self {
        Self::shell(launch, &format!("exec {}", line(launch))).await
    }

    /// The same on a terminal of this size.
    pub async fn sized(launch: &Launch, columns: u16, rows: u16) -> Self {
        Self::shell(launch, &format!("stty cols {columns} rows {rows}; exec {}", line(launch))).await
    }

    /// Runs this line of a shell on a terminal, with the variables of a launch.
    pub async fn shell(launch: &Launch, line: &str) -> Self {
        let mut command = script(line);
        command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
        Self::start(command).await
    }

    /// Starts a command of [`script`].
    pub async fn start(mut command: Command) -> Self {
        let mut child = runtime::within(async move { command.spawn().unwrap() }).await;
        let keyboard = child.stdin.take().unwrap();
        let screen = Output::collect("the screen".into(), child.stdout.take().unwrap());
        Self { child, keyboard, screen }
    }

    /// All that the program has written.
    pub fn text(&self) -> String {
        self.screen.text()
    }

    /// What a terminal of this size shows now.
    pub fn screen(&self, columns: u16, rows: u16) -> Vec<String> {
        let mut emulator = vt100::Parser::new(rows, columns, 0);
        emulator.process(self.text().as_bytes());
        emulator.screen().rows(0, columns).collect()
    }

    pub async fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Waits until this text is on the screen. A prompt ends no line, so there is nothing to wait for but the text.
    pub async fn expect(&self, text: &str) {
        for _ in 0..600 {
            if self.text().contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("`{text}` is not on the screen: {}", self.text());
    }

    /// Waits until the program has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await.unwrap().unwrap()
    }
}

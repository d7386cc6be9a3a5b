//! The prompt for a target on terminals of several sizes. The program `script` provides the terminal, and an emulator
//! shows what a person sees.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use crate::support::output::Output;
use crate::support::runtime;

const TARGETS: usize = 40;

/// A client that prompts, and its terminal.
struct Terminal {
    directory: TempDir,
    child: Child,
    keyboard: ChildStdin,
    output: Output,
    size: (u16, u16),
}

fn name(number: usize) -> String {
    format!("orders-production-database-{number:02}")
}

fn config(path: &Path) {
    let mut text = String::from(
        "proxy: {listen_addr: '127.0.0.1:0'}\nrds: {enabled: false}\nupstream_proxies: {default: {host: '127.0.0.1:1'}}\ntargets:\n",
    );
    for number in 1..=TARGETS {
        let host = format!("orders-{number:02}.cluster-abcdefghijkl.us-east-1.rds.amazonaws.com");
        writeln!(text, "  {}: {{host: '{host}:5432'}}", name(number)).unwrap();
    }
    fs::write(path, text).unwrap();
}

impl Terminal {
    /// A terminal with this number of columns and rows. Once the file `resize` exists, it has 40 and 12.
    async fn start(columns: u16, rows: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yaml");
        config(&path);
        let resize =
            "(until [ -e resize ]; do sleep 0.1; done; stty cols 40 rows 12 </dev/tty; touch resized)";
        let client = format!(
            "exec '{}' client --configfile '{}'",
            env!("CARGO_BIN_EXE_rds-auth-proxy"),
            path.display()
        );
        let line = format!("stty cols {columns} rows {rows}; {resize} & {client}");
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .current_dir(directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = runtime::within(async move { command.spawn().unwrap() }).await;
        let keyboard = child.stdin.take().unwrap();
        let output = Output::collect("the screen".into(), child.stdout.take().unwrap());
        Self { directory, child, keyboard, output, size: (columns, rows) }
    }

    fn screen(&self) -> Vec<String> {
        let (columns, rows) = self.size;
        let mut emulator = vt100::Parser::new(rows, columns, 0);
        emulator.process(self.output.text().as_bytes());
        emulator.screen().rows(0, columns).collect()
    }

    /// Waits until the screen shows the question, and this target in the only selected row.
    async fn expect_selected(&self, number: usize) {
        for _ in 0..400 {
            let screen = self.screen();
            let selected: Vec<_> = screen.iter().filter(|row| row.starts_with('>')).collect();
            let shows = |row: &&String| row.contains(&format!("-{number:02}"));
            if screen[0].starts_with("Which target?") && selected.len() == 1 && selected.iter().any(shows) {
                let others: Vec<_> = screen[1..].iter().filter(|row| row.starts_with("  ")).collect();
                assert!(others.len() >= usize::from(self.size.1) - 3, "{screen:#?}");
                assert!(
                    others.iter().all(|row| row.starts_with("  orders-")),
                    "no row is wrapped: {screen:#?}"
                );
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{number} is not selected: {:#?}", self.screen());
    }

    async fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).await.unwrap();
    }

    /// Waits for a text behind the prompt.
    async fn expect(&self, text: &str) {
        for _ in 0..400 {
            if self.output.text().contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("`{text}` is not on the screen: {}", self.output.text());
    }
}

#[tokio::test]
async fn the_list_fits_terminals_of_every_size() {
    for (columns, rows) in [(80, 24), (132, 10), (40, 12)] {
        let mut terminal = Terminal::start(columns, rows).await;
        terminal.expect_selected(1).await;
        for number in 2..=TARGETS {
            terminal.press("\x1b[B").await;
            terminal.expect_selected(number).await;
        }
        terminal.press("\r").await;
        terminal.expect(&format!("Which target? {}", name(TARGETS))).await;
        terminal.expect(&format!("orders-{TARGETS:02}.cluster-abcdefghijkl")).await;
    }
}

#[tokio::test]
async fn the_list_is_drawn_again_when_the_terminal_changes_its_size() {
    let mut terminal = Terminal::start(80, 24).await;
    terminal.expect_selected(1).await;
    terminal.press("\x1b[A").await;
    terminal.expect_selected(TARGETS).await;
    fs::write(terminal.directory.path().join("resize"), "").unwrap();
    while !terminal.directory.path().join("resized").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    terminal.size = (40, 12);
    terminal.expect_selected(TARGETS).await;
    terminal.press("\x1b").await;
    let status = tokio::time::timeout(Duration::from_secs(30), terminal.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(130));
}

//! The prompt for a target on terminals of several sizes. An emulator shows the screen as a person sees it.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::terminal::{Terminal, script};
use tempfile::TempDir;

const TARGETS: usize = 40;

/// A client that prompts, and its terminal.
struct Prompt {
    directory: TempDir,
    terminal: Terminal,
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

impl Prompt {
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
        let mut command = script(&line);
        command.current_dir(directory.path());
        Self { directory, terminal: Terminal::start(command).await, size: (columns, rows) }
    }

    fn screen(&self) -> Vec<String> {
        let (columns, rows) = self.size;
        self.terminal.screen(columns, rows)
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
}

#[tokio::test]
async fn the_list_fits_terminals_of_every_size() {
    for (columns, rows) in [(80, 24), (132, 10), (40, 12)] {
        let mut prompt = Prompt::start(columns, rows).await;
        prompt.expect_selected(1).await;
        for number in 2..=TARGETS {
            prompt.terminal.press("\x1b[B").await;
            prompt.expect_selected(number).await;
        }
        prompt.terminal.press("\r").await;
        prompt.terminal.expect(&format!("Which target? {}", name(TARGETS))).await;
        prompt.terminal.expect(&format!("orders-{TARGETS:02}.cluster-abcdefghijkl")).await;
    }
}

#[tokio::test]
async fn the_list_is_drawn_again_when_the_terminal_changes_its_size() {
    let mut prompt = Prompt::start(80, 24).await;
    prompt.expect_selected(1).await;
    prompt.terminal.press("\x1b[A").await;
    prompt.expect_selected(TARGETS).await;
    fs::write(prompt.directory.path().join("resize"), "").unwrap();
    while !prompt.directory.path().join("resized").exists() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    prompt.size = (40, 12);
    prompt.expect_selected(TARGETS).await;
    prompt.terminal.press("\x1b").await;
    let status = prompt.terminal.ended().await;
    assert_eq!(status.code(), Some(130));
}

/// Once its terminal is gone, a prompt in the background would read for ever.
#[tokio::test]
async fn a_client_in_the_background_does_not_prompt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    config(&path);
    let client =
        format!("'{}' client --configfile '{}'", env!("CARGO_BIN_EXE_rds-auth-proxy"), path.display());
    let line = format!("bash -c \"set -m; {client} & wait \\$!; echo exit \\$?\"");
    let mut terminal = Terminal::start(script(&line)).await;
    terminal.expect("use --target with one of the names below").await;
    terminal.expect("exit 2").await;
    terminal.ended().await;
}

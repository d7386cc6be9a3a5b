//! The completion scripts in the shells that read them. A shell that is not installed is skipped.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a person types before the key Tab, and the line behind it.
const LINES: [(&str, &str); 15] = [
    ("rds-auth-proxy cl", "rds-auth-proxy client"),
    ("rds-auth-proxy client --ta", "rds-auth-proxy client --target"),
    ("rds-auth-proxy client --direct --proxy-", "rds-auth-proxy client --direct --proxy-target"),
    ("rds-auth-proxy server --conf", "rds-auth-proxy server --configfile"),
    ("rds-auth-proxy gen-cert --cer", "rds-auth-proxy gen-cert --certificate"),
    ("rds-auth-proxy completion fi", "rds-auth-proxy completion fish"),
    ("rds-auth-proxy version --output js", "rds-auth-proxy version --output json"),
    ("rds-auth-proxy help ser", "rds-auth-proxy help server"),
    ("rds-auth-proxy targ", "rds-auth-proxy targets"),
    ("rds-auth-proxy exp", "rds-auth-proxy export"),
    ("rds-auth-proxy tok", "rds-auth-proxy token"),
    ("rds-auth-proxy targets --hidden --output js", "rds-auth-proxy targets --hidden --output json"),
    ("rds-auth-proxy export --format data", "rds-auth-proxy export --format datagrip"),
    ("rds-auth-proxy export --format pg", "rds-auth-proxy export --format pgadmin"),
    ("rds-auth-proxy token --target a --output te", "rds-auth-proxy token --target a --output text"),
];

/// Commands whose flags are all typed, without their last letter.
const COMMANDS: [&str; 3] = ["targets", "export", "token"];

/// [`LINES`], and one for each flag of [`COMMANDS`].
fn lines() -> Vec<(String, String)> {
    let mut lines: Vec<_> = LINES.map(|(typed, expected)| (typed.to_owned(), expected.to_owned())).into();
    for command in COMMANDS {
        let help = output_of(&[command, "--help"]);
        let flags: BTreeSet<_> =
            help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2).collect();
        assert!(flags.len() > 3, "{help}");
        lines.extend(flags.into_iter().map(|flag| {
            let line = format!("rds-auth-proxy {command} {flag}");
            (line[..line.len() - 1].to_owned(), line)
        }));
    }
    lines
}

fn output_of(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rds-auth-proxy"));
    let output = command.args(arguments).env_clear().output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn completion(shell: &[&str]) -> String {
    output_of(&[&["completion"], shell].concat())
}

fn is_installed(shell: &str) -> bool {
    let is_installed =
        Command::new(shell).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_installed {
        eprintln!("skipped: {shell} is not installed");
    }
    is_installed
}

/// Types the lines into an interactive shell. The program `script` provides its terminal. After Tab, Ctrl-A moves to the
/// start of the line, and `echo` prints what the line has become.
fn type_into(directory: &Path, shell: &str) -> String {
    let mut command = Command::new("script");
    command
        .args([
            "--quiet",
            "--return",
            "--command",
            &format!("stty cols 200 rows 50; exec {shell}"),
            "/dev/null",
        ])
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", directory)
        .env("ZDOTDIR", directory)
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    for (typed, _) in lines() {
        write!(keyboard, "{typed}\t\x01echo OK: \r").unwrap();
    }
    write!(keyboard, "exit\r").unwrap();
    let output = child.wait_with_output().unwrap();
    drop(keyboard);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn expect_completed(screen: &str) {
    for (typed, expected) in lines() {
        let completed = screen.lines().any(|line| line.trim_end() == format!("OK: {expected}"));
        assert!(completed, "`{typed}` does not become `{expected}`: {screen}");
    }
}

#[test]
fn bash_completes_commands_flags_and_values() {
    if !is_installed("bash") || !is_installed("script") {
        return;
    }
    // Without a shell, the Go program prints the scripts for bash and zsh together.
    for shell in [&["bash"][..], &[]] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("completion"), completion(shell)).unwrap();
        fs::write(
            directory.path().join("rc"),
            "PS1=\nsource ./completion\nbind 'set enable-bracketed-paste off'\n",
        )
        .unwrap();
        expect_completed(&type_into(directory.path(), "bash --noprofile --rcfile rc -i"));
    }
}

#[test]
fn zsh_completes_commands_flags_and_values() {
    if !is_installed("zsh") || !is_installed("script") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("completion"), completion(&["zsh"])).unwrap();
    let rc = "PS1=\nunset zle_bracketed_paste\nbindkey -e\nautoload -U compinit\ncompinit -u -D\nsource ./completion\n";
    fs::write(directory.path().join(".zshrc"), rc).unwrap();
    expect_completed(&type_into(directory.path(), "zsh -d -i"));
}

#[test]
fn fish_completes_commands_flags_and_values() {
    if !is_installed("fish") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("completion");
    fs::write(&script, completion(&["fish"])).unwrap();
    for (typed, expected) in lines() {
        let query = format!("source {}; complete --do-complete '{typed}'", script.display());
        let output = Command::new("fish")
            .args(["--no-config", "-c", &query])
            .env("HOME", directory.path())
            .output()
            .unwrap();
        let offered = String::from_utf8(output.stdout).unwrap();
        let wanted = expected.rsplit(' ').next().unwrap();
        let words: Vec<_> = offered.lines().filter_map(|line| line.split('\t').next()).collect();
        assert!(words.contains(&wanted), "`{typed}` does not offer `{wanted}`: {offered}");
    }
}

//! The completion scripts in the shells that read them. A shell that is not installed is skipped.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What a person types before the key Tab, and the line behind it.
const LINES: [(&str, &str); 23] = [
    ("rds-auth-proxy client --target orders-d", "rds-auth-proxy client --target orders-db"),
    ("rds-auth-proxy client --target orders:wr", "rds-auth-proxy client --target orders:writer"),
    ("rds-auth-proxy client --target orders:custom:", "rds-auth-proxy client --target orders:custom:reports"),
    ("rds-auth-proxy client --target=people", "rds-auth-proxy client --target=people-db"),
    ("rds-auth-proxy token --target scr", "rds-auth-proxy token --target scratch"),
    ("rds-auth-proxy targets peo", "rds-auth-proxy targets people-db"),
    ("rds-auth-proxy client --proxy-target sta", "rds-auth-proxy client --proxy-target staging"),
    ("rds-auth-proxy export --profile wor", "rds-auth-proxy export --profile work"),
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
const COMMANDS: [&str; 4] = ["doctor", "targets", "export", "token"];

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

/// The search path with the program under test.
fn path() -> OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_rds-auth-proxy")).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap();
    std::env::join_paths(std::iter::once(program).chain(std::env::split_paths(&others))).unwrap()
}

/// A home with the names of a list, a configuration and a profile.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for (file, text) in [
        (".cache/rds-auth-proxy/targets", "orders-db\norders:custom:reports\norders:writer\npeople-db\n"),
        (
            ".config/rds-auth-proxy/config.yaml",
            "rds: {enabled: false}\nupstream_proxies: {staging: {host: 'h:1'}}\ntargets: {scratch: {host: 'h:2'}}\n",
        ),
        (".aws/config", "[default]\n[profile work]\nregion = us-east-1\n"),
    ] {
        let file = home.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    home
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
        .env("PATH", path())
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
        let directory = home();
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
    let directory = home();
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
    let directory = home();
    let script = directory.path().join("completion");
    fs::write(&script, completion(&["fish"])).unwrap();
    for (typed, expected) in lines() {
        let query = format!("source {}; complete --do-complete '{typed}'", script.display());
        let output = Command::new("fish")
            .args(["--no-config", "-c", &query])
            .env("PATH", path())
            .env("HOME", directory.path())
            .output()
            .unwrap();
        let offered = String::from_utf8(output.stdout).unwrap();
        let wanted = expected.rsplit(' ').next().unwrap();
        let words: Vec<_> = offered.lines().filter_map(|line| line.split('\t').next()).collect();
        assert!(words.contains(&wanted), "`{typed}` does not offer `{wanted}`: {offered}");
    }
}

/// A person is typing: whatever is wrong, the shell prints nothing, and AWS is not called.
#[test]
fn a_request_is_answered_at_once_and_in_silence() {
    for (home, expected) in [(home(), "orders-db"), (tempfile::tempdir().unwrap(), ""), (broken_home(), "")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rds-auth-proxy"));
        let begin = Instant::now();
        let output = command
            .args(["--", "rds-auth-proxy", "client", "--target", "orders-"])
            .env_clear()
            .env("HOME", home.path())
            .env("_RDS_AUTH_PROXY_COMPLETE", "fish")
            // No call can get through.
            .env("AWS_ENDPOINT_URL", "http://192.0.2.1")
            .current_dir(home.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert_eq!((text(&output.stdout), text(&output.stderr)), (expected.to_owned(), String::new()));
        assert!(output.status.success() && begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
}

/// A home whose files cannot be used, and a working directory with a configuration of another user.
fn broken_home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for file in [".cache/rds-auth-proxy/targets", ".config/rds-auth-proxy/config.yaml", ".aws/config"] {
        let file = home.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, b"orders-\xff: [\n").unwrap();
    }
    fs::write(home.path().join("config.yaml"), "targets: {orders-other: {host: 'h:1'}}\n").unwrap();
    home
}

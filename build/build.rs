//! Compiles the commit and its date into the binary, for `rds-auth-proxy version`.
//!
//! A build without git (a source archive, an image) sets them in `RDS_AUTH_PROXY_BUILD_COMMIT` and
//! `RDS_AUTH_PROXY_BUILD_DATE`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    emit("RDS_AUTH_PROXY_BUILD_COMMIT", &["rev-parse", "--short=12", "HEAD"]);
    emit("RDS_AUTH_PROXY_BUILD_DATE", &["log", "-1", "--format=%cs"]);
}

fn emit(name: &str, git: &[&str]) {
    println!("cargo::rerun-if-env-changed={name}");
    let value = std::env::var(name).ok().or_else(|| run_git(git)).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env={name}={value}");
}

fn run_git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

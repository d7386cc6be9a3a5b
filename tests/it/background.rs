//! The files in `build/` with which a client runs in the background: a systemd user unit and a launchd agent.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::scratch;

const UNIT: &str = "build/systemd/user/rds-auth-proxy.service";
const AGENT: &str = "build/launchd/rds-auth-proxy.plist";

/// The words behind the program, with which both start it.
const ARGUMENTS: [&str; 2] = ["client", "--all"];

/// A home in which the program is installed.
fn home() -> PathBuf {
    let home = scratch::new_directory("service");
    let program = home.join(".local/bin/rds-auth-proxy");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    home
}

#[test]
fn systemd_accepts_the_user_unit() {
    let start = format!("ExecStart=%h/.local/bin/rds-auth-proxy {}", ARGUMENTS.join(" "));
    let text = fs::read_to_string(UNIT).unwrap();
    for line in
        [&start, "Type=notify", "Restart=on-failure", "RestartPreventExitStatus=2", "WantedBy=default.target"]
    {
        assert!(text.lines().any(|found| found == line), "`{line}` is not in {text}");
    }
    let home = home();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--user", UNIT]).env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
    let Ok(output) = command.output() else {
        eprintln!("skipped: systemd-analyze is not installed");
        return;
    };
    // A key that it does not know is a warning, with status 0.
    let printed = [output.stdout, output.stderr].concat();
    assert_eq!((output.status.code(), String::from_utf8(printed).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn launchd_finds_its_keys_in_the_agent() {
    let script = "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let Ok(output) = Command::new("python3").args(["-c", script, AGENT]).output() else {
        eprintln!("skipped: python3 is not installed");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let agent: Value = serde_json::from_slice(&output.stdout).unwrap();
    let program = json!(["/Users/YOU/.local/bin/rds-auth-proxy", ARGUMENTS[0], ARGUMENTS[1]]);
    for (key, value) in [
        ("Label", json!("rds-auth-proxy")),
        ("ProgramArguments", program),
        ("RunAtLoad", json!(true)),
        ("KeepAlive", json!({"SuccessfulExit": false})),
        ("StandardErrorPath", json!("/Users/YOU/Library/Logs/rds-auth-proxy.log")),
    ] {
        assert_eq!(agent[key], value, "{key}");
    }
}

/// The page names the files, and replaces the same word in the agent.
#[test]
fn the_quick_start_installs_both_files() {
    let page = fs::read_to_string("docs/quickstart.md").unwrap();
    for part in [UNIT, AGENT, "s|/Users/YOU|$HOME|"] {
        assert!(page.contains(part), "`{part}` is not in the page");
    }
}

/// After a night without network, or with an AWS session that has expired, a service must be up.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_service_is_ready_although_aws_refuses() {
    use crate::support::aws_failure::{AwsFailure, Rule};
    use crate::support::builder::World;
    use crate::support::proxy::Launch;
    use crate::systemd::next;

    let world = World::new().without_server().without_client().start().await;
    world.aws.fail(Rule::every(AwsFailure::Expired).of("DescribeDBInstances"));
    let socket = scratch::new_directory("systemd").join("notify");
    let systemd = tokio::net::UnixDatagram::bind(&socket).unwrap();
    let launch = world
        .launch(Launch::new("client", &ARGUMENTS), &world.key)
        .env("RDS_AUTH_PROXY_CONFIGFILE", world.directory.join("client.yaml").to_str().unwrap())
        .env("NOTIFY_SOCKET", socket.to_str().unwrap());
    let mut client = world.start_proxy(launch).await;
    assert_eq!(next(&systemd).await, "READY=1");
    client.stop().await;
    world.stop().await;
}

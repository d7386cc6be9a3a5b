//! Another user of the developer's machine may not use a client. The kernel tells the client the user of each connection.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use tokio::process::Command;

use crate::support::builder::World;
use crate::support::raw::login;
use crate::support::scratch;

/// The user `nobody`.
const OTHER: u32 = 65534;

const SENTENCE: &str =
    "rds-auth-proxy: this client serves only the user that runs it and root, not user id 65534";

/// Only root can become another user.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What this psql prints as that user: its output or its error text.
async fn run(mut psql: Command, user: u32) -> Result<String, String> {
    let output = psql.uid(user).args(["-c", "select 'let in'"]).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[tokio::test]
async fn another_user_reads_28000_and_reaches_no_server() {
    if !is_root() {
        return;
    }
    let world = World::new().start().await;
    let psql = |user| run(world.psql_command(world.client(), "alice"), user);
    let error = psql(OTHER).await.unwrap_err();
    assert!(error.contains(&format!("FATAL:  {SENTENCE}")), "{error}");
    assert!(error.contains("HINT:  Start a client as that user."), "{error}");
    assert_eq!(world.rds().connections(), 0);
    assert_eq!(psql(0).await.unwrap(), "let in");
    world.client().wait_for_log("reason=\"other_user\"").await;
    world.stop().await;
}

#[tokio::test]
async fn allow_other_users_admits_them() {
    if !is_root() {
        return;
    }
    let world = World::new().with_client("proxy: {allow_other_users: true}").start().await;
    assert_eq!(run(world.psql_command(world.client(), "alice"), OTHER).await.unwrap(), "let in");
    world.stop().await;
}

/// Its permissions keep them out at first; an owner may change them.
#[tokio::test]
async fn a_unix_socket_of_mode_0777_does_not_admit_them() {
    if !is_root() {
        return;
    }
    let directory = scratch::new_directory("socket");
    let socket = directory.join(".s.PGSQL.5432");
    let listen = format!("proxy: {{listen_addr: 'unix:{}'}}", socket.display());
    let world = World::new().with_client(&listen).start().await;
    fs::set_permissions(&socket, Permissions::from_mode(0o777)).unwrap();
    let psql = |user| {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-A", "-t", "-w", "-p", "5432", "-U", "by_trust", "-d", "app", "-h"])
            .arg(&directory);
        run(psql, user)
    };
    let error = psql(OTHER).await.unwrap_err();
    assert!(error.contains(&format!("FATAL:  {SENTENCE}")), "{error}");
    assert_eq!(psql(0).await.unwrap(), "let in");
    world.stop().await;
}

/// The kernel reports a socket without a process as one of root. Such a connection could still carry a statement.
#[tokio::test]
async fn a_process_that_closes_at_once_is_not_taken_for_root() {
    const PROGRAM: &str = "\
import socket, sys
for _ in range(20):
    stream = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
    stream.sendall(bytes.fromhex(sys.argv[2]))
    stream.close()
";
    if !is_root() {
        return;
    }
    let world = World::new().start().await;
    let (port, packet) = (world.client().port().to_string(), hex::encode(login("by_trust")));
    let mut python = Command::new("python3");
    let ended = python.uid(OTHER).args(["-c", PROGRAM, &port, &packet]).status().await.unwrap();
    assert!(ended.success());
    // A session of the owner comes after them, and is the first that reaches the database.
    assert_eq!(world.psql("alice", "select 'let in'").await.unwrap(), "let in");
    assert_eq!(world.rds().connections(), 1);
    world.stop().await;
}

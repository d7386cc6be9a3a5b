//! The list of open sessions on the admin socket, and the end of one by an administrator.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::cancel::wait_for_queries;
use crate::operations::lines;
use crate::support::builder::World;
use crate::support::proxy::{Finished, Launch};
use crate::support::raw::{Raw, query};
use crate::support::runtime;
use crate::support::scratch::unique;
#[cfg(target_os = "linux")]
use crate::support::terminal::script;
use crate::support::world::Running;

/// Both proxies with an admin socket. Neither cancels a query whose application disappears.
async fn world() -> Running {
    let socket =
        |mode: &str| format!("proxy: {{admin_socket: '<directory>/{mode}/s', cancel_on_disconnect: false}}");
    World::new().with_server(&socket("server")).with_client(&socket("client")).start().await
}

fn socket(world: &Running, mode: &str) -> PathBuf {
    world.directory.join(mode).join("s")
}

/// `sessions` with the configuration of this mode.
async fn sessions(world: &Running, mode: &str, arguments: &[&str]) -> Finished {
    let config = world.directory.join(format!("{mode}.yaml"));
    Launch::mode("sessions", "sessions", &config).with(arguments).run().await
}

async fn list(world: &Running, mode: &str, arguments: &[&str]) -> Vec<Value> {
    let ended = sessions(world, mode, &[arguments, &["--output", "json"]].concat()).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let list: Value = serde_json::from_str(&ended.stdout).unwrap();
    list["sessions"].as_array().unwrap().clone()
}

/// Lists until there are so many sessions: the application is ready a moment before the table has its session.
async fn list_of(world: &Running, mode: &str, count: usize) -> Vec<Value> {
    for _ in 0..100 {
        let found = list(world, mode, &[]).await;
        if found.len() == count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the {mode} never had {count} sessions: {:?}", list(world, mode, &[]).await);
}

/// The fields in docs/reference.md, with their types.
fn documented() -> BTreeMap<String, String> {
    let page = std::fs::read_to_string("docs/reference.md").unwrap();
    let (_, section) = page.split_once("### The list of sessions\n").unwrap();
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | ").unwrap();
        (name.to_owned(), rest.split(' ').next().unwrap().to_owned())
    })
    .collect()
}

fn types(session: &Value) -> BTreeMap<String, String> {
    let fields = session.as_object().unwrap().iter();
    fields
        .map(|(name, value)| {
            let kind = if value.is_u64() {
                "integer"
            } else if value.is_string() {
                "string"
            } else {
                "other"
            };
            (name.clone(), kind.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn both_modes_list_their_sessions_with_the_documented_fields() {
    let world = world().await;
    for mode in ["server", "client"] {
        assert_eq!(list(&world, mode, &[]).await, [] as [Value; 0]);
        let path = socket(&world, mode);
        let mode_of = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode_of(&path), mode_of(path.parent().unwrap())), (0o600, 0o700));
    }
    let mut alice = Raw::session(world.client().port(), "alice").await;
    for mode in ["server", "client"] {
        let before = list_of(&world, mode, 1).await.remove(0);
        assert_eq!(types(&before), documented(), "the page describes the fields");
        for (field, value) in [("user", "alice"), ("database", "app"), ("target", "db-1")] {
            assert_eq!(before[field], value);
        }
        assert!(before["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{before}");
        assert!(before["since"].as_str().unwrap().ends_with('Z'), "{before}");
        let proxy = world.proxy(mode);
        let field = if mode == "server" { "identity" } else { "identity_claimed" };
        assert!(!before[field].as_str().unwrap().is_empty(), "{before}");
        if mode == "server" {
            assert_eq!(before["identity"], world.key.id.as_str());
            assert_eq!(lines(proxy, "session began")[0]["id"], before["id"]);
        }
        let sql = "select repeat('x', 1000000)";
        alice.query(sql).await.unwrap();
        let after = list(&world, mode, &[]).await.remove(0);
        let moved = |field: &str| after[field].as_u64().unwrap() - before[field].as_u64().unwrap();
        assert_eq!(moved("sent"), query(sql).len() as u64);
        assert!(moved("received") > 1_000_000, "{before} {after}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(list(&world, mode, &[]).await[0]["idle_seconds"].as_u64().unwrap() >= 2);
    }
    let other = Raw::session(world.client().port(), "by_trust").await;
    for mode in ["server", "client"] {
        list_of(&world, mode, 2).await;
        assert_eq!(list(&world, mode, &["--user", "by_trust"]).await[0]["user"], "by_trust");
        assert_eq!(list(&world, mode, &["--user", "by_trust", "--target", "db-1"]).await.len(), 1);
        assert!(list(&world, mode, &["--target", "db-2"]).await.is_empty());
        let text = sessions(&world, mode, &["--user", "alice"]).await.stdout;
        let fields: Vec<_> = text.trim_end().split('\t').collect();
        assert_eq!((fields.len(), &fields[3..6]), (10, &["alice", "app", "db-1"][..]), "{text}");
    }
    drop((alice, other));
    list_of(&world, "server", 0).await;
    list_of(&world, "client", 0).await;
    world.stop().await;
}

#[tokio::test]
async fn an_ended_session_reads_57p01_and_its_query_is_cancelled() {
    let uid = rustix::process::geteuid().as_raw();
    for mode in ["server", "client"] {
        let world = world().await;
        let mut idle = Raw::session(world.client().port(), "alice").await;
        let id = list_of(&world, mode, 1).await[0]["id"].to_string();
        let ended = sessions(&world, mode, &["end", &id, "--reason", "blocks the migration"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.starts_with(&format!("session {id} ends: alice at db-1, database app, from ")));
        let texts = ["rds-auth-proxy: ", "an administrator ended this session: blocks the migration"];
        idle.refused().await.expect("57P01", &texts);
        list_of(&world, mode, 0).await;

        let mut busy = Raw::session(world.client().port(), "alice").await;
        let sql = format!("select pg_sleep(300) as {}", unique("busy"));
        busy.send(&query(&sql)).await;
        wait_for_queries(&world, &sql, 1).await;
        let id = list_of(&world, mode, 1).await[0]["id"].to_string();
        assert_eq!(sessions(&world, mode, &["end", &id]).await.code, Some(0));
        let refusal = busy.refused().await;
        assert_eq!(
            (refusal.sqlstate(), refusal.message()),
            ("57P01", "rds-auth-proxy: an administrator ended this session")
        );
        wait_for_queries(&world, &sql, 0).await;
        assert_eq!(world.rds().cancels(), 1);

        let proxy = world.proxy(mode);
        if mode == "server" {
            let orders = lines(proxy, "an administrator ends the session");
            let fields = (&orders[0]["uid"], &orders[0]["reason"], &orders[0]["user"]);
            assert_eq!(fields, (&uid.into(), &"blocks the migration".into(), &"alice".into()));
            let last = lines(proxy, "session ended");
            assert_eq!(last[0]["id"], orders[0]["id"]);
            let fields = ["ended_by", "outcome", "sqlstate", "error"].map(|name| &last[0][name]);
            assert_eq!(fields, ["proxy", "administrator", "57P01", "blocks the migration"]);
        } else {
            proxy.wait_for_log(&format!("uid={uid} reason=\"blocks the migration\"")).await;
            proxy.wait_for_log("outcome=\"administrator\"").await;
        }
        let unknown = sessions(&world, mode, &["end", "4711"]).await;
        assert_eq!((unknown.code, unknown.stderr.as_str()), (Some(1), "error: no session has the id 4711\n"));
        world.stop().await;
    }
}

/// The sessions that a drain waits for are the ones to look at.
#[tokio::test]
async fn a_proxy_that_drains_lists_the_sessions_that_it_waits_for() {
    let world = world().await;
    let mut waited_for = Raw::session(world.client().port(), "alice").await;
    let server = world.server();
    server.signal(rustix::process::Signal::TERM);
    server.wait_for_log("stopping; a second signal ends at once").await;
    let id = list_of(&world, "server", 1).await[0]["id"].to_string();
    assert_eq!(sessions(&world, "server", &["end", &id]).await.code, Some(0));
    waited_for.refused().await.expect("57P01", &["an administrator ended this session"]);
    world.stop().await;
}

/// Root may do so in every case; here another user does not get as far as the socket, and not further if it is opened.
#[tokio::test]
async fn other_users_are_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = world().await;
    let path = socket(&world, "server");
    let binary = env!("CARGO_BIN_EXE_rds-auth-proxy");
    let copy = std::env::temp_dir().join(unique("rds-auth-proxy"));
    std::fs::copy(binary, &copy).unwrap();
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    let socket_text = path.display().to_string();
    let as_nobody = async || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&copy);
        command.args(["sessions", "--socket", &socket_text]).env_clear().stdin(Stdio::null());
        let output = command.env("PATH", "/usr/bin:/bin").output().await.unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let text = as_nobody().await;
    assert!(text.contains("run this command as the user of the proxy, or as root"), "{text}");
    for (path, mode) in path.ancestors().zip([0o666, 0o755, 0o755]) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let text = as_nobody().await;
    assert_eq!(text, "error: only the user of the proxy and root may use the admin_socket\n");
    world.server().wait_for_log("refused another user on the admin_socket").await;
    std::fs::remove_file(copy).unwrap();
    world.stop().await;
}

#[tokio::test]
async fn watch_lists_again_until_its_reader_ends() {
    let world = world().await;
    let idle = Raw::session(world.client().port(), "alice").await;
    list_of(&world, "server", 1).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_rds-auth-proxy"));
    command.args(["sessions", "--watch", "--socket"]).arg(socket(&world, "server"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = runtime::within(async move { command.spawn().unwrap() }).await;
    let mut text = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        assert!(text.next_line().await.unwrap().unwrap().contains("\talice\tapp\tdb-1\t"));
    }
    drop(text);
    let status = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    drop(idle);
    world.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_terminal_the_list_is_a_table() {
    let world = world().await;
    let idle = Raw::session(world.client().port(), "alice").await;
    list_of(&world, "client", 1).await;
    let binary = env!("CARGO_BIN_EXE_rds-auth-proxy");
    let line = format!("'{binary}' sessions --socket '{}'", socket(&world, "client").display());
    let output = script(&line).env("TERM", "dumb").output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<_> = text.lines().map(str::trim_end).collect();
    assert!(rows[0].starts_with("ID  SINCE ") && rows[0].ends_with("  SENT  RECEIVED  IDLE"), "{text}");
    assert!(rows[1].contains("  alice  app       db-1    "), "{text}");
    assert!(rows[1].contains(" (not verified)  0 B "), "{text}");
    drop(idle);
    world.stop().await;
}

#[tokio::test]
async fn errors_name_what_to_change() {
    let directory = tempfile::tempdir().unwrap();
    let (config, open) = (directory.path().join("s.yaml"), directory.path().join("open"));
    let write = |proxy: &str| {
        let text = format!("proxy: {{listen_addr: '127.0.0.1:0'{proxy}}}\nrds: {{enabled: false}}\n");
        std::fs::write(&config, text).unwrap();
    };
    let run = |command: &str| Launch::mode(command, command, &config).run();
    let expect = |ended: &Finished, code: i32, parts: &[&str]| {
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(parts.iter().all(|part| ended.stderr.contains(part)), "{ended:?}");
    };
    write("");
    let parts = ["s.yaml has no proxy.admin_socket; set it and restart the proxy", "--socket"];
    expect(&run("sessions").await, 2, &parts);
    write(&format!(", admin_socket: '{}/s'", open.display()));
    let parts = ["open/s cannot be reached: ", "; start the proxy with this proxy.admin_socket"];
    expect(&run("sessions").await, 1, &parts);
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o755)).unwrap();
    let parts = ["cannot listen on the admin_socket ", "has the mode 0755", "chmod 0700"];
    expect(&run("server").await, 1, &parts);
    let long = "x".repeat(257);
    let ended = Launch::mode("sessions", "sessions", &config).with(&["end", "1", "--reason", &long]).run();
    expect(&ended.await, 2, &["the reason is longer than 256 bytes"]);
}

//! `client --target NAME -- COMMAND`: a command with a private socket.

use std::fs;

use rustix::process::Signal;
use tokio::net::TcpListener;

use crate::cancel::wait_for_queries;
use crate::support::builder::World;
use crate::support::proxy::{Finished, Launch};
use crate::support::scratch::{new_directory, unique};
#[cfg(target_os = "linux")]
use crate::support::terminal::Terminal;
use crate::support::world::Running;

async fn world() -> Running {
    World::new().without_client().start().await
}

/// A client that runs this command. It has a directory of its own for temporary files.
fn launch(world: &Running, flags: &[&str], command: &[&str]) -> Launch {
    let temporary = new_directory("tmp");
    let mut launch = world.client_launch(flags).with(&["--"]).with(command);
    launch.environment.push(("LOG_LEVEL".into(), String::new()));
    launch.env("TMPDIR", temporary.to_str().unwrap())
}

/// The directory for temporary files must be empty again.
fn expect_clean(launch: &Launch) {
    let (_, directory) = launch.environment.iter().find(|(name, _)| name == "TMPDIR").unwrap();
    let left: Vec<_> = fs::read_dir(directory).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Runs this command with a client, which leaves no file behind.
pub(crate) async fn run(world: &Running, flags: &[&str], command: &[&str]) -> Finished {
    let launch = launch(world, flags, command);
    let ended = launch.clone().run().await;
    expect_clean(&launch);
    ended
}

#[tokio::test]
async fn a_command_finds_its_database_by_the_environment() {
    let world = world().await;
    let query = "select current_user || ' in ' || current_database()";
    let ended = run(&world, &["--user", "alice"], &["psql", "-X", "-A", "-t", "-w", "-c", query]).await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "alice in app\n", ""));

    let script = "echo $PGHOST $PGPORT $PGDATABASE $PGUSER $PGSSLMODE \
                  ${PGPASSWORD-none} ${PGSERVICE-none} ${PGHOSTADDR-none} ${PGREQUIREAUTH-none}; \
                  stat -c '%a %n' $PGHOST $PGHOST/.s.PGSQL.5432";
    let mut launch = launch(&world, &[], &["sh", "-c", script]);
    for name in ["PGPASSWORD", "PGSERVICE", "PGHOSTADDR", "PGREQUIREAUTH", "PGUSER"] {
        launch = launch.env(name, "before");
    }
    let ended = launch.clone().run().await;
    let directory = ended.stdout.split(' ').next().unwrap();
    let expected = format!(
        "{directory} 5432 app before disable none none none none\n700 {directory}\n600 {directory}/.s.PGSQL.5432\n"
    );
    assert_eq!(ended.stdout, expected, "{ended:?}");
    expect_clean(&launch);
    world.stop().await;
}

#[tokio::test]
async fn the_exit_status_of_the_command_is_that_of_the_client() {
    let world = world().await;
    let plain = world.directory.join("plain");
    fs::write(&plain, "").unwrap();
    for (command, code) in [
        (&["sh", "-c", "exit 0"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -9 $$"], 128 + 9),
        (&["sh", "-c", "kill -TERM $$"], 128 + 15),
        (&["no-such-program"], 127),
        (&[plain.to_str().unwrap()], 126),
    ] {
        let ended = run(&world, &[], command).await;
        assert_eq!(ended.code, Some(code), "{command:?}: {ended:?}");
        let explained = ended.stderr.contains("cannot be started: ");
        assert_eq!(explained, code == 126 || code == 127, "{ended:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_command_needs_one_target_and_no_address() {
    let world = World::new().with_instance("a").with_instance("b").without_server().without_client();
    let world = world.start().await;
    for (flags, text) in [
        (&["--all"][..], "a command behind `--` needs one target; name it with --target"),
        (&["--target", "a", "--target", "b"], "a command behind `--` needs one target"),
        (&["--port", "0"], "--listen and --port exclude a command behind `--`, which has a private socket"),
    ] {
        let ended = run(&world, flags, &["true"]).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(text), "{ended:?}");
    }
    let ended = Launch::new("client", &["client", "--user", "alice"]).run().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("'--user <NAME>' needs a command: -- <COMMAND>"), "{ended:?}");
}

#[tokio::test]
async fn a_dump_is_restored_through_pipes() {
    let world = world().await;
    let (table, copy) = (unique("wrapped"), unique("copy"));
    let made = format!(
        "create table {table} as select n from generate_series(1, 1000) n; alter table {table} owner to alice"
    );
    world.postgres.execute(&made).await;
    world.postgres.execute(&format!("create database {copy} owner alice")).await;
    let script = format!(
        "pg_dump -w -Fc -t {table} postgres | pg_restore -w -d {copy} && psql -X -A -t -w -d {copy} -c 'select sum(n) from {table}'"
    );
    let ended = run(&world, &["--user", "alice"], &["sh", "-c", &script]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "500500\n"), "{ended:?}");
    world.stop().await;
}

/// Without a terminal nobody else sends the signal to the command.
#[tokio::test]
async fn signals_are_passed_on() {
    let world = world().await;
    for (signal, code) in [(Signal::TERM, 9), (Signal::HUP, 8)] {
        let script = "trap 'exit 9' TERM; trap 'exit 8' HUP; echo listening address=x >&2; while :; do sleep 0.1; done";
        let launch = launch(&world, &[], &["sh", "-c", script]);
        let mut client = launch.clone().start().await.unwrap();
        client.signal(signal);
        assert_eq!(client.wait().await.code(), Some(code), "{}", client.log());
        expect_clean(&launch);
    }
    world.stop().await;
}

/// `client -- COMMAND && NEXT` must not go on after Ctrl-C.
#[tokio::test]
async fn a_command_that_did_not_run_has_not_succeeded() {
    let world = world().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let aws = format!("http://{}", silent.local_addr().unwrap());
    let launch = launch(&world, &[], &["true"]).env("AWS_ENDPOINT_URL", aws);
    let ended = launch.clone().in_shell("{ sleep 1; kill -INT $$; } & :").run().await;
    assert_eq!(ended.code, Some(128 + 2), "{ended:?}");
    expect_clean(&launch);
    world.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn psql_keeps_the_terminal_and_ctrl_c_cancels_its_query() {
    let world = world().await;
    let launch = launch(&world, &["--user", "alice"], &["psql", "-X", "-w"]);
    let mut terminal = Terminal::launch(&launch).await;
    terminal.expect("app=>").await;
    let sql = format!("select pg_sleep(300) as {};", unique("wrapped"));
    terminal.press(&format!("{sql}\n")).await;
    wait_for_queries(&world, &sql, 1).await;
    terminal.press("\x03").await;
    terminal.expect("canceling statement due to user request").await;
    wait_for_queries(&world, &sql, 0).await;
    terminal.press("select 41 + 1 as answer;\n").await;
    terminal.expect("(1 row)").await;
    assert!(!terminal.text().contains("INFO"), "{}", terminal.text());
    terminal.press("\\q\n").await;
    let status = terminal.ended().await;
    assert!(status.success(), "{status}: {}", terminal.text());
    expect_clean(&launch);
    world.stop().await;
}

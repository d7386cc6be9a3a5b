//! The last line of a terminal: the state of a client, and a spinner. An emulator shows the screen as a person sees it.

use std::fs;
use std::time::Duration;

use serde_json::json;
use tokio_postgres::NoTls;

use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::identity::AccessKey;
use crate::support::proxy::Launch;
use crate::support::roles::DATABASE;
use crate::support::runtime;
use crate::support::terminal::{Terminal, line};
use crate::support::world::Running;

/// Wide enough for each log line.
const COLUMNS: u16 = 600;
const ROWS: u16 = 60;

/// What only the status line has.
const RATES: &str = " | sent ";

async fn world() -> Running {
    World::new().without_client().start().await
}

/// A client for people: its log has the level info.
fn launch(world: &Running, flags: &[&str]) -> Launch {
    let mut launch = world.client_launch(flags);
    launch.environment.push(("LOG_LEVEL".into(), "info".into()));
    launch
}

/// The rows of the screen that are not empty.
fn rows(terminal: &Terminal) -> Vec<String> {
    let mut rows = terminal.screen(COLUMNS, ROWS);
    rows.retain(|row| !row.is_empty());
    rows
}

/// Waits until the last row begins with this text, and returns the rows.
async fn expect_last(terminal: &Terminal, text: &str) -> Vec<String> {
    for _ in 0..600 {
        let rows = rows(terminal);
        if rows.last().is_some_and(|row| row.starts_with(text)) {
            return rows;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("`{text}` is not the last row: {:#?}", rows(terminal));
}

/// Each row is a whole line of the log or of the summary, or the last one.
fn expect_whole(rows: &[String]) {
    let (last, others) = rows.split_last().unwrap();
    assert!(last.contains(RATES) && !last.contains("INFO"), "{rows:#?}");
    for row in others {
        assert!(!row.contains(RATES), "the status line is left above: {rows:#?}");
        let levels = row.matches(" INFO ").count() + row.matches(" WARN ").count();
        assert!(levels == 0 || (levels == 1 && row.starts_with("20")), "two lines are one row: {rows:#?}");
    }
}

/// The port of the client on this screen.
fn port(rows: &[String]) -> u16 {
    let row = rows.iter().find(|row| row.contains("listening address=")).unwrap();
    row.trim_end().rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Credentials of a program, which end in 50 minutes.
fn with_ending_credentials(world: &Running, launch: Launch) -> Launch {
    let key = AccessKey::session(Duration::from_mins(50) + Duration::from_secs(50));
    world.identities.add(key.clone());
    let keys = json!({
        "Version": 1, "AccessKeyId": key.id, "SecretAccessKey": key.secret, "SessionToken": key.session_token,
        "Expiration": humantime::format_rfc3339_seconds(key.expires.unwrap()).to_string(),
    });
    let (file, config) = (world.directory.join("keys.json"), world.directory.join("aws-config"));
    fs::write(&file, keys.to_string()).unwrap();
    fs::write(&config, format!("[default]\ncredential_process = cat {}\n", file.display())).unwrap();
    let mut launch = launch.env("AWS_CONFIG_FILE", config.to_str().unwrap());
    launch.environment.retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SE"));
    launch
}

#[tokio::test]
async fn the_state_of_a_client_stays_below_its_log_and_is_gone_at_the_end() {
    let world = world().await;
    let launch = with_ending_credentials(&world, launch(&world, &[]));
    let mut terminal = Terminal::sized(&launch, COLUMNS, ROWS).await;
    let credentials = " | AWS credentials end in 50 min";
    let idle = format!("0 sessions | sent 0 B/s, received 0 B/s{credentials}");
    let rows = expect_last(&terminal, &idle).await;
    expect_whole(&rows);
    let text = format!("host=127.0.0.1 port={} user=alice dbname={DATABASE}", port(&rows));
    let (session, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
    runtime::spawn(connection);
    expect_whole(&expect_last(&terminal, "1 session | ").await);
    session.batch_execute("select repeat('x', 1000) from generate_series(1, 20000)").await.unwrap();
    // 20 MB in one text of the line, or in two.
    expect_whole(&expect_last(&terminal, "1 session | sent 0 B/s, received").await);
    terminal.expect(" MB/s").await;
    // Many log lines, between the texts of the line.
    for _ in 0..20 {
        drop(tokio_postgres::connect(&text, NoTls).await.unwrap());
    }
    drop(session);
    let rows = expect_last(&terminal, &idle).await;
    expect_whole(&rows);
    assert!(rows.iter().filter(|row| row.contains("session ended")).count() > 10, "{rows:#?}");

    terminal.press("\x03").await;
    let status = terminal.ended().await;
    assert!(status.success(), "{status}");
    let rows = self::rows(&terminal);
    assert!(rows.iter().all(|row| !row.contains(RATES)), "{rows:#?}");
    assert!(rows.last().unwrap().contains("INFO"), "{rows:#?}");
    world.stop().await;
}

/// A terminal of an ordinary size, whose log lines need several rows.
#[tokio::test]
async fn a_long_log_line_wraps_and_leaves_no_status_line_behind() {
    let world = world().await;
    let mut terminal = Terminal::sized(&launch(&world, &[]), 50, 40).await;
    let screen = |terminal: &Terminal| terminal.screen(50, 40).join("");
    for _ in 0..3 {
        terminal.expect(RATES).await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let shown = screen(&terminal);
        assert_eq!(shown.matches(RATES).count(), 1, "{shown}");
        let address = "listening address=127.0.0.1:";
        assert!(shown.contains(address), "{shown}");
    }
    terminal.press("\x03").await;
    assert!(terminal.ended().await.success());
    assert!(!screen(&terminal).contains(RATES), "{}", screen(&terminal));
    world.stop().await;
}

#[tokio::test]
async fn a_pipe_has_neither() {
    let world = World::new().start().await;
    world.aws.fail(Rule::every(AwsFailure::Slow(Duration::from_secs(1))));
    let launch = launch(&world, &[]);
    let mut client = launch.start().await.unwrap();
    let session = client.config("alice").connect(NoTls).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(session);
    client.stop().await;
    for text in [client.log(), client.stdout.text()] {
        assert!(!text.contains(['\u{1b}', '\r']) && !text.contains(RATES), "{text}");
    }
    world.stop().await;
}

/// A command owns the terminal, and JSON is for programs.
#[tokio::test]
async fn a_command_and_a_server_have_no_status_line() {
    let world = World::new().without_client().without_server().start().await;
    let client = launch(&world, &[]).with(&["--", "sh", "-c", "sleep 2; echo done"]);
    let mut terminal = Terminal::launch(&client).await;
    assert!(terminal.ended().await.success());
    terminal.expect("done").await;
    assert!(!terminal.text().contains(RATES), "{}", terminal.text());
    for debug in ["false", "true"] {
        let server = world.server_launch().env("DEBUG", debug);
        let mut terminal = Terminal::launch(&server).await;
        terminal.expect("listening").await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        terminal.press("\x03").await;
        terminal.ended().await;
        assert!(!terminal.text().contains(RATES), "{}", terminal.text());
    }
    world.stop().await;
}

/// `client &`: the shell has the terminal.
#[tokio::test]
async fn a_client_in_the_background_leaves_the_terminal_alone() {
    let world = world().await;
    let launch = launch(&world, &[]);
    let shell = format!("set -m; {} & sleep 4; kill %1; wait", line(&launch));
    let mut terminal = Terminal::shell(&launch, &shell).await;
    terminal.expect("listening").await;
    terminal.ended().await;
    assert!(!terminal.text().contains(RATES), "{}", terminal.text());
    world.stop().await;
}

#[tokio::test]
async fn slow_work_has_a_spinner_until_it_is_done() {
    let world = world().await;
    let mut targets = world.client_launch(&[]);
    targets.arguments[0] = "targets".into();
    targets.arguments.truncate(3);
    let spinner = "listing the databases of RDS";
    for (delay, shown) in [(Duration::ZERO, false), (Duration::from_secs(2), true)] {
        world.aws.recover();
        world.aws.fail(Rule::every(AwsFailure::Slow(delay)));
        let mut targets = targets.clone();
        targets.environment.push(("LOG_LEVEL".into(), "warn".into()));
        let mut terminal = Terminal::sized(&targets, COLUMNS, ROWS).await;
        if shown {
            terminal.expect(spinner).await;
        }
        assert!(terminal.ended().await.success());
        terminal.expect("db-1").await;
        assert_eq!(terminal.text().contains(spinner), shown, "{}", terminal.text());
        let rows = rows(&terminal);
        assert!(rows[0].starts_with("NAME ") && !rows.join("").contains(spinner), "{rows:#?}");
    }
    world.stop().await;
}

//! The test world for interactive use: `cargo run --example world -- DIRECTORY`.
//!
//! It starts PostgreSQL, the fake RDS instance `db-1` (or with `--instance NAME` another one) and the fake AWS endpoint. Into
//! DIRECTORY it writes `server.yaml`, `client.yaml` and their environments `server-env.sh` and `client-env.sh`, and `paths`, what
//! an application needs for each path of `tests/drivers/run.sh`. It prints a line that begins with `ready`, then a line for every
//! login, and runs until SIGTERM or SIGINT, or with `--until-eof` until its standard input ends.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the test world panics when it cannot go on, and prints its events"
)]

use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use support::builder::World;
use support::certificates::Authority;
use support::fake_rds::{FakeRds, Login};
use support::identity::AccessKey;
use support::instance::REGION;
use support::ports::free_port;
use support::postgres::Postgres;
use support::roles::DATABASE;
use support::world::Running;

mod paths;
#[path = "mod.rs"]
mod support;

struct Arguments {
    directory: PathBuf,
    instance: String,
    until_eof: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else {
        eprintln!("usage: world [--until-eof] [--instance NAME] DIRECTORY");
        return ExitCode::from(2);
    };
    let world = World::new()
        .with_instance(arguments.instance.as_str())
        .with_postgres(Postgres::start_with(&["wal_level=logical"]).await)
        .with_key(AccessKey::session(Duration::from_hours(12)))
        .without_server()
        .without_client()
        .start()
        .await;
    let client_port = write_files(&world, &arguments.directory);
    paths::write(&world, &arguments.directory, client_port).await;
    println!("ready: {}", arguments.directory.display());
    tokio::select! {
        () = report_logins(world.rds()) => {}
        () = wait_for_stop(arguments.until_eof) => {}
    }
    world.stop().await;
    ExitCode::SUCCESS
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Arguments> {
    let (mut directory, mut instance, mut until_eof) = (None, "db-1".to_owned(), false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--until-eof" => until_eof = true,
            "--instance" => instance = arguments.next()?,
            flag if flag.starts_with('-') => return None,
            path if directory.is_none() => directory = Some(PathBuf::from(path)),
            _ => return None,
        }
    }
    Some(Arguments { directory: directory?, instance, until_eof })
}

async fn wait_for_stop(until_eof: bool) {
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    let input_ends = async {
        if !until_eof {
            return std::future::pending().await;
        }
        let (sender, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            sender.send(())
        });
        end.await.unwrap();
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = input_ends => {}
    }
}

async fn report_logins(rds: &FakeRds) {
    let mut reported = Vec::new();
    loop {
        let logins = rds.logins();
        reported.resize(logins.len(), false);
        for (login, reported) in logins.iter().zip(&mut reported) {
            if !*reported && (login.token.is_some() || !login.iam) {
                *reported = true;
                println!("{}", describe(login, rds));
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn describe(login: &Login, rds: &FakeRds) -> String {
    let mut text =
        format!("{} connects to database {}", login.user, login.find("database").unwrap_or(&login.user));
    write!(text, ", over {}", login.tls.as_deref().unwrap_or("no TLS")).unwrap();
    match (&login.token, &login.refusal) {
        (Some(token), None) => {
            let length = token.len();
            write!(text, "; accepted: the IAM token of {length} characters").unwrap();
            write!(text, " has a valid signature for {}", rds.endpoint()).unwrap();
        }
        (_, Some(refusal)) => write!(text, "; refused: {refusal}").unwrap(),
        (None, None) => write!(text, "; not a member of rds_iam, PostgreSQL requests the password").unwrap(),
    }
    text
}

/// Returns the port of the client.
fn write_files(world: &Running, directory: &Path) -> u16 {
    fs::create_dir_all(directory).unwrap();
    let server = port_near(8000);
    let client = port_near(8001);
    let ca = Authority::trusted().path.display();
    let write = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
    write(
        "server.yaml",
        format!(
            "# The server of the demo: it finds its databases through the AWS API.\n\
             proxy:\n  listen_addr: 127.0.0.1:{server}\n  drain_timeout: 0\n\
             rds:\n  regions: [{REGION}]\n  root_certificate: {ca}   # of the demo's database, instead of Amazon's\n"
        ),
    );
    write(
        "client.yaml",
        format!(
            "# The client of the demo. Between it and the server is plain TCP, as over a port-forward.\n\
             proxy:\n  listen_addr: 127.0.0.1:{client}\n\
             rds:\n  regions: [{REGION}]\n\
             upstream_proxies:\n  default:\n    host: 127.0.0.1:{server}\n    ssl: {{mode: disable}}\n"
        ),
    );
    write("server-env.sh", environment(world, &world.server_key));
    write("client-env.sh", environment(world, &world.key) + &format!("export DEMO_DATABASE={DATABASE}\n"));
    client
}

fn environment(world: &Running, key: &AccessKey) -> String {
    let mut text = format!(
        "export AWS_ENDPOINT_URL={} AWS_REGION={REGION} AWS_EC2_METADATA_DISABLED=true\n\
         export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}\n\
         unset AWS_PROFILE AWS_SESSION_TOKEN\n",
        world.aws.url, key.id, key.secret
    );
    if let Some(token) = &key.session_token {
        writeln!(text, "export AWS_SESSION_TOKEN='{token}'").unwrap();
    }
    text
}

/// The usual port if it is free, else another one.
fn port_near(usual: u16) -> u16 {
    if TcpListener::bind(("127.0.0.1", usual)).is_ok() { usual } else { free_port() }
}

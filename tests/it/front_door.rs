//! Applications that connect to a server without a client: the TLS server name or the default chooses the target, and the database
//! reads the application's own password.

/// Cancel requests without a client.
mod cancel;
/// Applications that bind their login to TLS.
#[cfg(target_os = "linux")]
mod channel_binding;
/// Hostile first messages of TLS.
mod client_hello;
/// A server without a configuration file.
mod flags;
/// HAProxy and nginx in front of two servers.
#[cfg(target_os = "linux")]
mod ingress;
/// Load balancers that state the peer behind them.
mod proxy_protocol;
/// Versions and extensions of the protocol.
mod versions;

use tokio::process::Command;
use tokio_postgres::error::SqlState;

use crate::support::builder::World;
use crate::support::certificates::{Authority, Validity};
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, V3_0, login, startup};
use crate::support::roles::DATABASE;
use crate::support::world::{Running, refusal};

/// The host names that lead to the server of the test world.
const NAMES: &[&str] = &[
    "orders.db.example",
    "reports.db.example",
    "any.shop.example",
    "a.b.shop.example",
    "other.example",
    "localhost",
];

/// TLS with a certificate for [`NAMES`].
pub(crate) fn tls() -> String {
    let certificate = Authority::trusted().issue(NAMES, Validity::Now);
    let (path, key) = (certificate.path.display(), certificate.key_path.display());
    format!("proxy: {{ssl: {{enabled: true, certificate: {path}, private_key: {key}}}}}")
}

/// A target at a real PostgreSQL, with `keys`.
pub(crate) fn target(name: &str, port: u16, keys: &str) -> String {
    let ca = Authority::trusted().path.display();
    format!(
        "targets: {{{name}: {{host: 'localhost:{port}', ssl: {{mode: verify-full, root_certificate: {ca}}}, {keys}}}}}"
    )
}

/// A world whose server has the target `orders`, with its server names, at the shared PostgreSQL.
pub(crate) async fn orders() -> World {
    let port = Postgres::shared().await.port;
    let names = "server_names: [orders.db.example, '*.shop.example']";
    World::new().with_server(&tls()).with_server(&target("orders", port, names)).without_client()
}

/// psql of this user for a host name that leads to the proxy, with the user's own password and `verify-full`.
pub(crate) fn psql(world: &Running, proxy: &Proxy, host: &str, user: &str) -> Command {
    let mut command = world.psql_command(proxy, user);
    command
        .args(["-h", host])
        .env("PGHOSTADDR", "127.0.0.1")
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", &Authority::trusted().path)
        // The database offers to bind a login to its TLS session, which ends at the server.
        .env("PGCHANNELBINDING", "disable");
    if user != "by_trust" {
        command.env("PGPASSWORD", world.postgres.password(user));
    }
    command
}

/// What a query prints, else the error of psql.
pub(crate) async fn run(mut command: Command, sql: &str) -> Result<String, String> {
    let output = command.args(["-c", sql]).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[tokio::test]
async fn the_server_name_or_the_default_chooses_the_target_and_the_application_logs_in_itself() {
    let second = Postgres::start().await;
    let rest = target("rest", second.port, "database: app");
    let world = orders().await.with_server(&rest).with_server("proxy: {default_target: rest}").start().await;
    let server = world.server();
    let port = |port: u16| Ok(port.to_string());
    for user in ["by_scram", "by_md5", "by_password", "by_trust"] {
        for (host, expected) in [
            ("orders.db.example", world.postgres.port),
            ("any.shop.example", world.postgres.port),
            ("a.b.shop.example", second.port),
            ("other.example", second.port),
        ] {
            let mut command = psql(&world, server, host, user);
            if expected == second.port && user != "by_trust" {
                command.env("PGPASSWORD", second.password(user));
            }
            assert_eq!(run(command, "show port").await, port(expected), "{user} at {host}");
        }
    }
    // Without TLS there is no name.
    let mut raw = Raw::session(server.port(), "by_trust").await;
    assert_eq!(raw.query("show port").await.unwrap(), second.port.to_string());
    let log = server.log();
    assert!(log.contains("\"target\":\"orders\"") && log.contains("\"target\":\"rest\""), "{log}");
    let mut wrong = psql(&world, server, "orders.db.example", "by_scram");
    wrong.env("PGPASSWORD", "wrong");
    let error = run(wrong, "select 1").await.unwrap_err();
    assert!(error.contains("FATAL:  password authentication failed for user \"by_scram\""), "{error}");
    drop(raw);
    world.stop().await;
}

#[tokio::test]
async fn an_application_that_names_no_target_reads_both_ways_to_name_one() {
    let world = orders().await.start().await;
    let error = refusal(world.server(), "by_trust").await;
    assert_eq!(error.code(), &SqlState::SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION);
    let text = "rds-auth-proxy: this connection names no target: it has no TLS server name (SNI), and \
                proxy.default_target is not set";
    assert_eq!(error.message(), text);
    let hint = error.hint().unwrap();
    assert!(hint.contains("server_names") && hint.contains("proxy.default_target"), "{hint}");
    let error = run(psql(&world, world.server(), "other.example", "by_scram"), "select 1").await.unwrap_err();
    assert!(error.contains("no target has its TLS server name \"other.example\" in server_names"), "{error}");
    world.server().wait_for_log("\"reason\":\"no_target\"").await;
    assert_eq!(world.rds().connections(), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_client_of_this_program_still_names_its_target_unless_the_server_refuses_that() {
    let keys = "proxy: {default_target: orders}";
    let (user, host) = ("by_trust", "host");
    let world = orders().await.with_server(keys).start().await;
    let packet =
        |host_value: &str| startup(V3_0, &[("user", user), ("database", DATABASE), (host, host_value)]);
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&packet(&world.rds().endpoint())).await;
    raw.until_ready().await;
    assert_eq!(world.rds().logins().len(), 1);
    drop(raw);
    world.stop().await;

    let refusing = "proxy: {default_target: orders, accept_host_parameter: false}";
    let world = orders().await.with_server(refusing).start().await;
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&packet(&world.rds().endpoint())).await;
    raw.refused().await.expect("28000", &["\"host\" is not accepted here", "proxy.accept_host_parameter"]);
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&login(user)).await;
    raw.until_ready().await;
    assert_eq!(world.rds().connections(), 0);
    drop(raw);
    world.stop().await;
}

/// The server answers whoever chooses the mechanism with channel binding.
#[tokio::test]
async fn an_application_that_would_bind_its_login_reads_the_setting_that_it_needs() {
    let world = orders().await.start().await;
    for binding in ["prefer", "require"] {
        let mut command = psql(&world, world.server(), "orders.db.example", "by_scram");
        command.env("PGCHANNELBINDING", binding);
        let error = run(command, "select 1").await.unwrap_err();
        assert!(error.contains("the application binds its login to its TLS session"), "{binding}: {error}");
        assert!(error.contains("HINT:") && error.contains("channel_binding=disable"), "{binding}: {error}");
    }
    world.stop().await;
}

/// The entry has no host, so it is about a discovered database.
#[tokio::test]
async fn a_discovered_database_behind_the_front_door_obeys_the_access_list() {
    let names = "targets: {db-1: {server_names: [orders.db.example]}}";
    let acl = "proxy: {target_acl: {blocked_rds_tags: [{name: closed, value: 'yes'}]}}";
    let instance = || crate::support::instance::Instance::new("db-1");
    for blocked in [false, true] {
        let instance = if blocked { instance().tag("closed", "yes") } else { instance() };
        let world =
            World::new().with_instance(instance).with_server(&tls()).with_server(names).with_server(acl);
        let world = world.without_client().start().await;
        let command = psql(&world, world.server(), "orders.db.example", "by_trust");
        let answer = run(command, "select current_user").await;
        if blocked {
            let error = answer.unwrap_err();
            assert!(error.contains("\"db-1\" is not allowed by the target_acl of this proxy"), "{error}");
            assert_eq!(world.rds().connections(), 0);
        } else {
            assert_eq!(answer.as_deref(), Ok("by_trust"));
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_changed_configuration_moves_the_door_and_no_session() {
    let second = Postgres::start().await;
    let world = orders().await.with_server("proxy: {default_target: orders}").start().await;
    let mut before = Raw::session(world.server().port(), "by_trust").await;
    let path = world.directory.join("server.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let moved =
        yaml.replace(&format!("localhost:{}", world.postgres.port), &format!("localhost:{}", second.port));
    assert_ne!(yaml, moved);
    std::fs::write(&path, moved.replace("orders.db.example", "other.example")).unwrap();
    world.server().signal(rustix::process::Signal::HUP);
    world.server().wait_for_log("the configuration was loaded again").await;
    let mut command = psql(&world, world.server(), "other.example", "by_scram");
    command.env("PGPASSWORD", second.password("by_scram"));
    assert_eq!(run(command, "show port").await, Ok(second.port.to_string()));
    assert_eq!(before.query("show port").await.unwrap(), world.postgres.port.to_string());
    drop(before);
    world.stop().await;
}

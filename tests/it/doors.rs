//! A client that serves several databases: a port for each, and one that all share.

mod following;
mod many;
mod starting;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio_postgres::NoTls;

use crate::cancel::{expect_cancelled, request_cancel_at, sleeper_at};
use crate::operations::{ADMIN, until_counted};
use crate::support::builder::World;
use crate::support::instance::Instance;
use crate::support::ports::free_port;
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, Refusal, query};
use crate::support::world::Running;

const PORT_TAG: &str = "rds-auth-proxy:local-port";

/// An instance with this port for clients.
fn at_port(name: &str, port: u16) -> Instance {
    Instance::new(name).tag(PORT_TAG, &port.to_string())
}

/// A loopback address that no other test gets. The ports of a client with several targets follow from their names, and
/// another test may have targets with the same names.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    Ipv4Addr::new(127, 0, 1, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Logs in, and returns the name of the database of the session.
async fn database_at(port: u16, database: &str) -> Result<String, Refusal> {
    let (mut raw, _) = Raw::log_in(port, &[("user", "alice"), ("database", database)]).await?;
    raw.query("select current_database()").await
}

/// How many sessions each of these databases had.
fn logins(world: &Running, names: &[&str]) -> Vec<usize> {
    names.iter().map(|name| world.database(name).logins().len()).collect()
}

/// Waits until a listener opens or closes.
async fn wait_for_port(port: u16, open: bool) {
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() == open {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the port {port} never is {}", if open { "open" } else { "closed" });
}

/// Two databases with ports of their own, and no client yet.
async fn world(first: u16, second: u16) -> Running {
    World::new()
        .with_instance(at_port("orders", first))
        .with_instance(at_port("people", second))
        .with_client(ADMIN)
        .without_client()
        .start()
        .await
}

async fn client(world: &Running) -> Proxy {
    start(world, &["--target", "orders", "--target", "people"]).await
}

/// Starts a client, and waits until all its ports are open.
async fn start(world: &Running, flags: &[&str]) -> Proxy {
    let client = world.start_client(flags).await;
    printed(&client).await;
    client
}

/// The table and the command below it.
pub(crate) async fn printed(client: &Proxy) -> String {
    let whole = |text: &str| text.contains("YOUR_DATABASE_USER").then(|| text.to_owned());
    client.stdout.wait_for(Duration::from_secs(30), whole).await.expect("nothing is printed")
}

#[tokio::test]
async fn each_target_has_its_port_and_all_share_another() {
    let (orders, people) = (free_port(), free_port());
    let world = world(orders, people).await;
    let client = client(&world).await;
    let shared = client.port();
    assert_eq!(database_at(orders, "app").await.unwrap(), "app");
    assert_eq!(logins(&world, &["orders", "people"]), [1, 0]);
    assert_eq!(database_at(people, "app").await.unwrap(), "app");
    assert_eq!(logins(&world, &["orders", "people"]), [1, 1]);

    // The suggested database, another one, and a name in another case.
    assert_eq!(database_at(shared, "people").await.unwrap(), "app");
    assert_eq!(database_at(shared, "People/postgres").await.unwrap(), "postgres");
    assert_eq!(database_at(shared, "orders/app").await.unwrap(), "app");
    assert_eq!(logins(&world, &["orders", "people"]), [2, 3]);
    client.wait_for_log("target=\"people\" user=\"alice\" database=\"postgres\"").await;
    let metrics = [
        r#"rds_auth_proxy_sessions_total{target="orders",ended_by="application",outcome="closed"} 2"#,
        r#"rds_auth_proxy_sessions_total{target="people",ended_by="application",outcome="closed"} 3"#,
    ];
    until_counted(&client, &metrics).await;
    world.stop().await;
}

#[tokio::test]
async fn a_wrong_name_at_the_shared_port_is_explained() {
    let world = world(free_port(), free_port()).await;
    let client = client(&world).await;
    let refusal = database_at(client.port(), "ordres/app").await.unwrap_err();
    let sentence = "rds-auth-proxy: no target of this client is called \"ordres/app\"; did you mean orders?";
    assert_eq!(refusal.message(), sentence);
    refusal.expect(
        "3D000",
        &["At this port the database names the target: TARGET or TARGET/DATABASE, as in \"orders/app\"."],
    );
    let refusal = Raw::log_in(client.port(), &[("user", "alice")]).await.err().unwrap();
    refusal.expect(
        "3D000",
        &["names the target at this port; write TARGET or TARGET/DATABASE, as in \"orders/app\""],
    );
    client.wait_for_log("reason=\"unknown_target\"").await;
    assert_eq!(logins(&world, &["orders", "people"]), [0, 0]);
    world.stop().await;
}

#[tokio::test]
async fn cancel_requests_reach_their_query_at_every_port() {
    for flags in [&[][..], &["--direct"]] {
        let (orders, people) = (free_port(), free_port());
        let world = world(orders, people).await;
        let targets = ["--target", "orders", "--target", "people"];
        let client = start(&world, &[&targets, flags].concat()).await;
        let shared = client.port();
        for (port, database, cancels) in
            [(people, "app", [0, 1]), (shared, "people/app", [0, 2]), (shared, "orders", [1, 2])]
        {
            let (mut session, key) = sleeper_at(&world, port, database).await;
            request_cancel_at(port, &key).await;
            expect_cancelled(&mut session).await;
            let counts = ["orders", "people"].map(|name| world.database(name).cancels());
            assert_eq!(counts, cancels, "{port} {database}");
        }
        // A key that no session has.
        request_cancel_at(shared, &[0, 0, 0, 1, 1, 2, 3, 4]).await;
        client.wait_for_log("no session of this client has the key of this cancel request").await;
        world.stop().await;
    }
}

#[tokio::test]
async fn the_query_of_a_lost_application_is_cancelled_at_its_target() {
    let world = world(free_port(), free_port()).await;
    let client = client(&world).await;
    let (session, _key) = sleeper_at(&world, client.port(), "people").await;
    drop(session);
    for _ in 0..400 {
        if world.database("people").cancels() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(["orders", "people"].map(|name| world.database(name).cancels()), [0, 1]);
    world.stop().await;
}

#[tokio::test]
async fn with_tls_the_server_name_names_the_target() {
    let world = World::new()
        .with_instance(at_port("orders", free_port()))
        .with_instance(at_port("people", free_port()))
        .with_client_tls()
        .without_client()
        .start()
        .await;
    let client = client(&world).await;
    let psql = async |host: &str, database: &str| {
        let mut command = world.psql_command(&client, "alice");
        let service = format!("host={host} hostaddr=127.0.0.1 sslmode=require dbname={database}");
        command.args(["-d", &service, "-c", "select current_database()"]);
        let output = command.output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim().to_owned()
    };
    assert_eq!(psql("people.localhost", "postgres").await, "postgres");
    assert_eq!(psql("localhost", "orders/app").await, "app");
    assert_eq!(logins(&world, &["orders", "people"]), [1, 1]);
    let text = psql("peple.localhost", "orders").await;
    assert!(text.contains("no target of this client is called \"peple\"; did you mean people?"), "{text}");
    world.stop().await;
}

#[tokio::test]
async fn the_limits_count_the_connections_of_all_ports() {
    let (orders, people) = (free_port(), free_port());
    let world = World::new()
        .with_instance(at_port("orders", orders))
        .with_instance(at_port("people", people))
        .with_client("proxy: {max_connections: 2}")
        .without_client()
        .start()
        .await;
    let client = client(&world).await;
    let first = Raw::log_in(orders, &[("user", "alice"), ("database", "app")]).await.unwrap();
    let second = Raw::log_in(client.port(), &[("user", "alice"), ("database", "people")]).await.unwrap();
    let refusal = database_at(people, "app").await.unwrap_err();
    refusal.expect("53300", &["max_connections of this proxy is 2"]);
    drop((first, second));
    world.stop().await;
}

/// An own port works for drivers as the port of a single target does.
#[tokio::test]
async fn a_driver_needs_no_special_database_name_at_the_port_of_a_target() {
    let people = free_port();
    let world = world(free_port(), people).await;
    let client = client(&world).await;
    let mut config = client.config("alice");
    config = {
        let mut other = tokio_postgres::Config::new();
        other.host("127.0.0.1").port(people).user("alice").dbname(config.get_dbname().unwrap());
        other
    };
    let (session, connection) = config.connect(NoTls).await.unwrap();
    crate::support::runtime::spawn(connection);
    session.simple_query("select 1").await.unwrap();
    drop(session);
    let mut raw = Raw::session(people, "alice").await;
    raw.send(&query("select 1")).await;
    raw.until_ready().await;
    drop(raw);
    world.stop().await;
}

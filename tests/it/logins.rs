//! Many logins at once: those that never send a password, and those that guess one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::operations::{ADMIN, metric, until_counted};
use crate::support::builder::World;
use crate::support::fake_database::{FakeDatabase, read_until_close};
use crate::support::postgres::Postgres;
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, V3_0, startup};
use crate::support::roles::DATABASE;
use crate::support::runtime;
use crate::support::world::Running;

/// Sockets of an attack.
const SOCKETS: usize = 100;

/// How long a login may take during an attack.
const QUICK: Duration = Duration::from_secs(2);

/// The address of the applications in these tests, and of another machine.
const SAME: [u8; 4] = [127, 0, 0, 1];
const OTHER: [u8; 4] = [127, 0, 0, 2];

/// Connections to the server that send a packet and nothing more, until this is dropped.
struct Attack {
    _tasks: JoinSet<()>,
    attempts: Arc<AtomicUsize>,
}

impl Attack {
    /// With `again`, each connects again when the proxy has closed.
    fn start(server: &Proxy, address: [u8; 4], packet: &[u8], again: bool) -> Self {
        let (port, attempts) = (server.port(), Arc::<AtomicUsize>::default());
        let mut tasks = JoinSet::new();
        for _ in 0..SOCKETS {
            let (packet, attempts) = (packet.to_vec(), Arc::clone(&attempts));
            tasks.spawn(async move {
                loop {
                    let mut raw = Raw::connect_from(address, port).await;
                    attempts.fetch_add(1, Ordering::Relaxed);
                    if raw.try_send(&packet).await.is_ok() {
                        while raw.message().await.is_some() {}
                    }
                    drop(raw);
                    if !again {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
        Self { _tasks: tasks, attempts }
    }

    fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }
}

/// A PostgreSQL with few connections behind a static target, where `by_password` has to send a password.
async fn small_world(server: &str) -> (Running, Vec<u8>) {
    let target = "{host: <postgres>, ssl: {mode: verify-full, root_certificate: <ca>}}";
    let world = World::new()
        .with_postgres(Postgres::start_with(&["max_connections=50"]).await)
        .with_target("small", target)
        .target("small")
        .with_server(server)
        .with_env("LOG_LEVEL", "info")
        .start()
        .await;
    let host = format!("localhost:{}", world.postgres.port);
    let packet = startup(V3_0, &[("user", "by_password"), ("database", DATABASE), ("host", &host)]);
    (world, packet)
}

/// A login through this proxy, the application answering the password request if it has to.
async fn login(world: &Running, proxy: &Proxy, user: &str) -> Duration {
    let began = Instant::now();
    let mut config = proxy.config(user);
    config.password(world.postgres.password(user));
    let (client, connection) =
        config.connect(NoTls).await.unwrap_or_else(|error| panic!("{user}: {error:?}"));
    let took = began.elapsed();
    runtime::spawn(connection);
    client.simple_query("select 1").await.unwrap();
    took
}

/// From the same address, as behind a port-forward, nobody can tell an application without a password from an attack that
/// connects again and again. One with a password passes it, and so does everybody an attack that waits.
const ATTACKS: [([u8; 4], bool, &[bool]); 3] =
    [(OTHER, true, &[true, false]), (SAME, true, &[true]), (SAME, false, &[true, false])];

/// Runs each attack, and logs in beside it with and without a password in the client.
async fn log_in_beside_attacks(world: &Running, packet: &[u8]) {
    let with_password = world.start_client(&["--password", &world.postgres.password("by_scram")]).await;
    for (address, again, logins) in ATTACKS {
        let attack = Attack::start(world.server(), address, packet, again);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(attack.attempts() >= SOCKETS);
        for _ in 0..3 {
            for has_password in logins {
                let proxy = if *has_password { &with_password } else { world.client() };
                let took = login(world, proxy, "by_scram").await;
                assert!(took < QUICK, "{took:?} ({has_password}) beside {address:?} ({again})");
            }
        }
        // Also past the proxy: the attack leaves connections of the database free.
        let mut direct = tokio_postgres::Config::new();
        direct.host("127.0.0.1").port(world.postgres.port).user("by_trust").dbname(DATABASE);
        drop(direct.connect(NoTls).await.unwrap());
    }
}

#[tokio::test]
async fn silent_sockets_keep_nobody_from_a_database() {
    let (world, packet) = small_world("proxy: {max_connections: 1000}").await;
    log_in_beside_attacks(&world, &packet).await;
    world.server().wait_for_log("dropped while waiting for the application's password").await;
    world.stop().await;
}

#[tokio::test]
async fn silent_sockets_keep_nobody_from_the_slots_of_the_server() {
    let (world, packet) = small_world("proxy: {max_connections: 50}").await;
    log_in_beside_attacks(&world, &packet).await;
    world.stop().await;
}

#[tokio::test]
async fn a_dropped_login_reads_the_reason() {
    let (world, packet) = small_world("proxy: {max_logins_per_target: 1}").await;
    let mut silent = Raw::connect(world.server().port()).await;
    silent.send(&packet).await;
    assert_eq!(silent.message().await.unwrap().tag, b'R', "the password request");
    assert!(login(&world, world.client(), "by_scram").await < QUICK);
    silent.refused().await.expect("53300", &["dropped while waiting for the application's password"]);
    world.stop().await;
}

#[tokio::test]
async fn guesses_at_an_iam_database_slow_down() {
    const TIME: Duration = Duration::from_secs(5);
    let world = World::new().start().await;
    let host = world.rds().endpoint();
    let parameters = [("user", "alice"), ("database", DATABASE), ("host", &host), ("password", "a guess")];
    let attack = Attack::start(world.server(), OTHER, &startup(V3_0, &parameters), true);
    let began = Instant::now();
    while began.elapsed() < TIME {
        let login = Instant::now();
        world.connect("alice").await.unwrap();
        assert!(login.elapsed() < QUICK, "a good login took {:?}", login.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let guesses = world.rds().logins().iter().filter(|login| login.refusal.is_some()).count();
    drop(attack);
    assert!((2..=200).contains(&guesses), "{guesses} guesses in {TIME:?}");
    world.stop().await;
}

/// One connection after the other, as a script guesses.
#[tokio::test]
async fn a_success_resets_the_pace_of_a_peer() {
    let world = World::new().with_server(ADMIN).start().await;
    let host = world.rds().endpoint();
    let guess = async |address| {
        let began = Instant::now();
        let mut raw = Raw::connect_from(address, world.server().port()).await;
        let guess = [("user", "alice"), ("database", DATABASE), ("host", &host), ("password", "a guess")];
        raw.send(&startup(V3_0, &guess)).await;
        raw.refused().await.expect("28000", &["PAM authentication failed"]);
        began.elapsed()
    };
    for _ in 0..6 {
        guess(SAME).await;
    }
    assert!(guess(SAME).await >= Duration::from_millis(1600));
    assert!(guess(OTHER).await < Duration::from_secs(1), "another peer");
    world.connect("alice").await.unwrap();
    assert!(guess(SAME).await < Duration::from_secs(1), "after a success");
    let delayed = r#"rds_auth_proxy_logins_delayed_total{cause="refusals"} 5"#;
    until_counted(world.server(), &[delayed]).await;
    world.stop().await;
}

#[tokio::test]
async fn a_rush_of_good_logins_waits_and_succeeds() {
    let world =
        World::new().with_server("proxy: {max_logins_per_target: 2}").with_server(ADMIN).start().await;
    let mut logins = JoinSet::new();
    for _ in 0..40 {
        let config = world.client().config("alice");
        logins.spawn(async move { config.connect(NoTls).await.map(drop) });
    }
    for login in logins.join_all().await {
        login.unwrap();
    }
    let idle =
        ["open", "waiting"].map(|gauge| format!(r#"rds_auth_proxy_logins_{gauge}{{target="db-1"}} 0"#));
    let text = until_counted(world.server(), &idle.each_ref().map(String::as_str)).await;
    assert!(metric(&text, r#"rds_auth_proxy_logins_delayed_total{cause="limit"}"#) > 0, "{text}");
    assert!(metric(&text, r#"rds_auth_proxy_handshake_seconds_count{step="wait"}"#) > 0, "{text}");
    world.stop().await;
}

#[tokio::test]
async fn waiting_does_not_extend_the_deadline() {
    let fake = FakeDatabase::start(|mut stream| async move { read_until_close(&mut stream).await }).await;
    let world = World::new()
        .with_target("fake", &fake.target("disable"))
        .with_server("proxy: {handshake_timeout: 3s, max_logins_per_target: 1}")
        .without_client()
        .start()
        .await;
    let packet = startup(
        V3_0,
        &[("user", "alice"), ("database", DATABASE), ("host", &format!("localhost:{}", fake.port))],
    );
    let mut first = Raw::connect(world.server().port()).await;
    first.send(&packet).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let mut second = Raw::connect(world.server().port()).await;
    second.send(&packet).await;
    let text = "max_logins_per_target of this proxy is 1, and this login waited 2.7";
    second.refused().await.expect("53300", &["too many logins under way", text]);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    first.refused().await.expect("57P03", &["time ran out after 11.7 s"]);
    world.stop().await;
}

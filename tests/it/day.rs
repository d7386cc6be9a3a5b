//! A day of a client that runs in the background: its clock jumps, the network and the API server go away and come back, its AWS
//! credentials end, the server is rolled. One process serves every database all the time.
//!
//! With `SOAK_SECONDS` the day repeats until this time is over.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use serde_json::json;

use crate::support::identity::AccessKey;
use crate::support::instance::Instance;
use crate::support::ports::free_port;
use crate::support::proxy::{Launch, Proxy};
use crate::support::raw::{Raw, Refusal};
use crate::support::relay::{Direction, Disruption, NetworkProfile, Relay};
use crate::support::world::Running;
use crate::tunnel::cluster::Cluster;
use crate::tunnel::tunnelled;

const PORT_TAG: &str = "rds-auth-proxy:local-port";

/// The night before the day, in the hours of the client's clock.
const NIGHT: &str = "-8h";

/// How soon a login must work again after a disruption is over.
const RECOVERY: Duration = Duration::from_secs(15);

/// The library with which a process has another clock (Debian's package faketime).
const FAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];

/// A client for all databases, and everything that fails around it.
struct Day {
    world: Running,
    cluster: Cluster,
    /// The client's network to the API server.
    network: Relay,
    client: Proxy,
    ports: [u16; 2],
    files: Files,
    /// The server of the pod that runs now, and its number.
    server: (Proxy, usize),
}

/// The files that the client reads while it runs.
struct Files {
    credentials: PathBuf,
    clock: PathBuf,
}

impl Files {
    /// Replaces the credentials at once, as a credential process does.
    fn write_credentials(&self, key: &AccessKey, end: SystemTime) {
        let keys = json!({
            "Version": 1, "AccessKeyId": key.id, "SecretAccessKey": key.secret, "SessionToken": key.session_token,
            "Expiration": humantime::format_rfc3339_seconds(end).to_string(),
        });
        let new = self.credentials.with_extension("new");
        fs::write(&new, keys.to_string()).unwrap();
        fs::rename(new, &self.credentials).unwrap();
    }
}

impl Day {
    /// The client starts at night, with credentials that end before the morning.
    async fn start() -> Self {
        let (cluster, network) = (Cluster::start().await, Relay::start().await);
        let ports = [free_port(), free_port()];
        let instance = |name: &str, port: u16| Instance::new(name).tag(PORT_TAG, &port.to_string());
        let world = tunnelled(&cluster)
            .with_instance(instance("orders", ports[0]))
            .with_instance(instance("people", ports[1]))
            .without_client()
            .without_server()
            .start()
            .await;
        world.add_secret(&cluster.token);
        network.set_target(cluster.api.address.port());
        cluster.move_to(network.port);
        let files = Files {
            credentials: world.directory.join("credentials.json"),
            clock: world.directory.join("clock"),
        };
        let night = SystemTime::now() - Duration::from_hours(7);
        let key = AccessKey::session(Duration::from_hours(1));
        world.identities.add(key.clone());
        files.write_credentials(&key, night);
        fs::write(&files.clock, NIGHT).unwrap();
        let server = world.start_proxy(world.server_launch()).await;
        cluster.add("pod-0", &server);
        let client = world.start_proxy(launch(&world, &files)).await;
        for name in ["orders", "people"] {
            client.wait_for_log(&format!("opened the port of a target target=\"{name}\"")).await;
        }
        Self { world, cluster, network, client, ports, files, server: (server, 0) }
    }

    /// Logs in at the port of each database and at the one that they share.
    async fn log_in(&self) -> Result<(), Refusal> {
        let shared = (self.client.port(), "people/app");
        for (port, database) in [(self.ports[0], "app"), (self.ports[1], "app"), shared] {
            let (mut raw, _) = Raw::log_in(port, &[("user", "alice"), ("database", database)]).await?;
            raw.query("select 1").await?;
        }
        Ok(())
    }

    /// Logs in until it works, which is soon.
    async fn expect_recovery(&self, event: &str) {
        let begin = Instant::now();
        while let Err(error) = self.log_in().await {
            assert!(begin.elapsed() < RECOVERY, "{event}: {error:?}\n{}", self.client.stderr.tail(40));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        eprintln!("{event}: a login worked after {:.1} s", begin.elapsed().as_secs_f64());
    }

    async fn expect_refusal(&self, event: &str, sqlstates: &[&str]) -> Refusal {
        let refusal = self.log_in().await.expect_err(event);
        assert!(sqlstates.contains(&refusal.sqlstate()), "{event}: {refusal:?}");
        refusal
    }

    /// An open session ends with an error, which does not wait for a keepalive.
    async fn expect_lost(mut session: Raw) {
        let lost =
            tokio::time::timeout(RECOVERY, session.ready()).await.expect("a lost session is not reported");
        assert_eq!(lost.unwrap_err().sqlstate(), "08006");
    }

    /// The machine sleeps: the process stands still, connections break, and the clock of the system jumps to the morning.
    async fn sleep_and_wake(&self) {
        self.client.signal(Signal::STOP);
        self.network.reset_connections();
        self.renew_credentials();
        fs::write(&self.files.clock, "+0").unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.client.signal(Signal::CONT);
        self.expect_recovery("sleep, with a clock that jumps by 8 hours").await;
    }

    fn renew_credentials(&self) -> AccessKey {
        let key = AccessKey::session(Duration::from_hours(1));
        self.world.identities.add(key.clone());
        self.files.write_credentials(&key, key.expires.unwrap());
        key
    }

    /// The interface is down: each connection breaks, and no new one comes through.
    async fn lose_the_network(&self) {
        let session = Raw::session(self.ports[0], "alice").await;
        self.network.apply(NetworkProfile::default().with(Direction::ToDatabase, 0, Disruption::Reset));
        self.network.reset_connections();
        Self::expect_lost(session).await;
        self.expect_refusal("interface down", &["57P03", "08001", "08006"]).await;
        self.network.apply(NetworkProfile::default());
        self.expect_recovery("interface down and up").await;
    }

    /// Packets vanish, as behind a captive portal.
    async fn stall_the_network(&self) {
        self.network.apply(NetworkProfile::default().with(Direction::ToApplication, 0, Disruption::Stall));
        self.network.reset_connections();
        self.expect_refusal("silent network", &["57P03", "08001", "08006"]).await;
        self.network.apply(NetworkProfile::default());
        self.network.reset_connections();
        self.expect_recovery("silent network").await;
    }

    async fn lose_the_api_server(&self) {
        self.network.set_target(free_port());
        self.network.reset_connections();
        self.expect_refusal("API server away", &["57P03", "08001", "08006"]).await;
        self.network.set_target(self.cluster.api.address.port());
        self.expect_recovery("API server away and back").await;
    }

    /// A session that is open goes on, and a new one is refused until the credentials are renewed.
    async fn let_credentials_end(&self) {
        let mut session = Raw::session(self.ports[1], "alice").await;
        let ended = AccessKey::session(Duration::from_hours(1));
        self.files.write_credentials(&ended, SystemTime::now() - Duration::from_mins(1));
        // The client reads the credentials again at the latest when those that it keeps end: a file that changes is enough.
        touch(&self.world.directory.join("aws-config"));
        self.expect_refusal("credentials ended", &["28000"]).await;
        assert_eq!(session.query("select 1").await.unwrap(), "1");
        let key = self.renew_credentials();
        self.expect_recovery("credentials ended and renewed").await;
        let tokens = self.world.database("orders").tokens();
        assert!(tokens.last().unwrap().contains(&key.id), "the token is signed by another key");
    }

    /// A rollout: the new pod is ready, the old one ends.
    async fn roll_the_server(&mut self) {
        let session = Raw::session(self.ports[0], "alice").await;
        let number = self.server.1 + 1;
        let new = self.world.start_proxy(self.world.server_launch()).await;
        let old = format!("pod-{}", self.server.1);
        self.cluster.add(&format!("pod-{number}"), &new);
        self.cluster.terminate(&old);
        self.server.0.kill();
        self.cluster.remove(&old);
        self.server = (new, number);
        Self::expect_lost(session).await;
        self.expect_recovery("server rolled").await;
    }
}

/// The client as its services start it, with a clock and credentials that the test changes.
fn launch(world: &Running, files: &Files) -> Launch {
    let config = world.directory.join("aws-config");
    fs::write(&config, format!("[default]\ncredential_process = cat {}\n", files.credentials.display()))
        .unwrap();
    let library = FAKETIME.iter().find(|path| Path::new(path).exists()).unwrap();
    let launch = world.client_launch(&["--all"]).env("AWS_CONFIG_FILE", config.to_str().unwrap());
    let mut launch = launch
        .env("LD_PRELOAD", *library)
        .env("FAKETIME_TIMESTAMP_FILE", files.clock.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    launch.environment.retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SE"));
    launch.environment.push(("LOG_LEVEL".into(), "debug".into()));
    launch
}

/// Changes the time of a file, and so what the client knows of it.
fn touch(path: &Path) {
    let text = fs::read(path).unwrap();
    fs::write(path, [text.as_slice(), b"\n"].concat()).unwrap();
}

#[tokio::test]
async fn a_client_survives_a_day_without_a_restart() {
    if !FAKETIME.iter().any(|path| Path::new(path).exists()) {
        eprintln!("skipped: the package faketime is not installed");
        return;
    }
    let limit = std::env::var("SOAK_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    let (begin, mut days) = (Instant::now(), 0);
    let mut day = Day::start().await;
    let process = day.client.id();
    day.sleep_and_wake().await;
    loop {
        day.lose_the_network().await;
        day.stall_the_network().await;
        day.lose_the_api_server().await;
        day.let_credentials_end().await;
        day.roll_the_server().await;
        days += 1;
        if limit.is_none_or(|limit| begin.elapsed() >= limit) {
            break;
        }
    }
    eprintln!("{days} days in {:.0} s", begin.elapsed().as_secs_f64());
    assert_eq!(day.client.id(), process);
    let log = day.client.log();
    for text in ["panicked", "closed the port of a target"] {
        assert!(!log.contains(text), "{text}: {}", day.client.stderr.tail(40));
    }
    day.client.stop().await;
    day.server.0.stop().await;
    day.world.stop().await;
}

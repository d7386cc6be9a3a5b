//! Client, server and database with a relay on each network link between them.

use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::builder::World;
use super::postgres::Postgres;
use super::proxy::Proxy;
use super::raw::{Raw, TERMINATE};
use super::relay::{Direction, Disruption, NetworkProfile, Relay};
use super::resource_usage::ResourceUsage;
use super::roles::AuthMethod;
use super::runtime;
use super::scratch::unique;
use super::workload::{Application, Outcome, Workload};
use super::world::Running;

/// `max_connections` of client and server.
pub const SLOTS: usize = 24;

/// The timeouts of client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeouts {
    /// The default ones, for disruptions that the proxies notice without a timeout, even on a busy machine.
    Default,
    /// Seconds, for disruptions that only a timeout detects.
    Short,
}

/// Short timeouts. The client's are longer, so that the server's expire first.
const SERVER: &str = "proxy: {handshake_timeout: 2s, connect_timeout: 500ms, idle_timeout: 2s}";
const CLIENT: &str = "proxy: {handshake_timeout: 3s, connect_timeout: 1s, idle_timeout: 3s}";

/// Configuration of client and server that does not depend on the timeouts.
const COMMON: &str = "proxy: {admin_addr: '127.0.0.1:0', max_connections: 24}";

/// When every application has received an error or a close: the longest timeout, which is that of a silent login (12 s), the time that the proxies give an
/// application to read the error, and a reserve for a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// How long the proxies may need to release a connection: a silent side has ten seconds to close, and then the proxy
/// cancels its running query.
const CLEANUP: Duration = Duration::from_secs(45);

/// A network link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// From the application to the client, in clear text.
    AppToClient,
    /// From the client to the server over TLS, or with a tunnel from the client to the Kubernetes API over TLS.
    ClientToServer,
    /// From the server to the database over TLS.
    ServerToDatabase,
}

/// A chain whose bytes pass three relays. The database requests a cleartext password over TLS, which the client passes
/// to the server.
pub struct RelayedChain {
    pub world: Running,
    pub client: Proxy,
    pub user: String,
    relays: [Relay; 3],
}

impl Link {
    pub const ALL: [Self; 3] = [Self::AppToClient, Self::ClientToServer, Self::ServerToDatabase];
}

impl RelayedChain {
    /// Starts the chain with its own database user.
    pub async fn start(timeouts: Timeouts, log_level: &str) -> Self {
        let to_server = Relay::start().await;
        let upstream = format!("upstream_proxies: {{default: {{host: 'localhost:{}'}}}}", to_server.port);
        let chain = Self::start_over(to_server, &upstream, timeouts, log_level).await;
        chain.relay(Link::ClientToServer).set_target(chain.world.server().port());
        chain
    }

    /// Starts the chain with the relay `to_server` and a client configuration that leads to it. The caller sets the
    /// relay's target.
    pub async fn start_over(to_server: Relay, upstream: &str, timeouts: Timeouts, log_level: &str) -> Self {
        let relays = [Relay::start().await, to_server, Relay::start().await];
        let postgres = Postgres::shared().await;
        let user = unique("relayed");
        let password = postgres.create_role(&user, AuthMethod::Password).await;
        let [application, _, database] = &relays;
        let target = format!(
            "{{host: 'localhost:{}', ssl: {{mode: verify-full, root_certificate: <ca>}}}}",
            database.port
        );
        let world = World::new()
            .with_server_tls()
            .with_target("relayed", &target)
            .target("relayed")
            .with_server("rds: {enabled: false}")
            .with_client("rds: {enabled: false}")
            .with_server(COMMON)
            .with_client(COMMON)
            .with_client(upstream)
            .with_env("LOG_LEVEL", log_level)
            .without_client();
        let world = match timeouts {
            Timeouts::Default => world,
            Timeouts::Short => world.with_server(SERVER).with_client(CLIENT),
        };
        let world = world.start().await;
        let launch = world.client_launch(&[]).env("RDS_AUTH_PROXY_PASSWORD", &password);
        let client = world.start_proxy(launch).await;
        application.set_target(client.port());
        database.set_target(world.postgres.port);
        Self { world, client, user, relays }
    }

    pub fn relay(&self, link: Link) -> &Relay {
        &self.relays[link as usize]
    }

    /// Applies the profile to one link and removes the impairments of the others.
    pub fn impair(&self, link: Link, profile: NetworkProfile) {
        self.clear_impairments();
        self.relay(link).apply(profile);
    }

    /// Removes all impairments.
    pub fn clear_impairments(&self) {
        self.relays.iter().for_each(|relay| relay.apply(NetworkProfile::default()));
    }

    /// Gives each connection on every link a random profile: one in three is disrupted, between its first byte and well
    /// after the login; some are delayed or split into chunks.
    pub fn impair_at_random(&self, seed: u64, disruptions: &'static [Disruption]) {
        for (link, relay) in (0..).zip(&self.relays) {
            let mut random = Rng::with_seed(seed * 3 + link);
            relay.apply_each(move || random_profile(&mut random, disruptions));
        }
    }

    /// Runs a session through all relays.
    pub async fn run(&self, workload: Workload) -> Outcome {
        self.application().run(workload).await
    }

    /// Starts a session through all relays.
    pub fn spawn(&self, workload: Workload) -> JoinHandle<Outcome> {
        runtime::spawn(self.application().run(workload))
    }

    /// An application whose sessions pass all relays.
    pub fn application(&self) -> Application {
        Application { port: self.relay(Link::AppToClient).port, user: self.user.clone() }
    }

    /// Every disruption that took place.
    pub fn disruptions(&self) -> Vec<(Link, Disruption)> {
        let on =
            |link| self.relay(link).stats().disruptions.into_iter().map(move |disruption| (link, disruption));
        Link::ALL.into_iter().flat_map(on).collect()
    }

    /// The resource usage of client and server.
    pub async fn resource_usage(&self) -> [ResourceUsage; 2] {
        [ResourceUsage::of(&self.client).await, ResourceUsage::of(self.world.server()).await]
    }

    /// Waits until client and server have no connection left and use no more than `before`, while the relays keep their
    /// connections open. Then resets the relays and waits until the database has no session left.
    pub async fn wait_for_cleanup(&self, before: [ResourceUsage; 2]) {
        let began = Instant::now();
        let mut now = self.resource_usage().await;
        while now.iter().zip(&before).any(|(now, before)| now.exceeds(before)) {
            assert!(began.elapsed() < CLEANUP, "left: {now:?}, before: {before:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
            now = self.resource_usage().await;
        }
        self.relays.iter().for_each(Relay::reset_connections);
        while self.sessions_of_the_database().await != "0" {
            assert!(began.elapsed() < CLEANUP, "sessions are left in the database");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn sessions_of_the_database(&self) -> String {
        let sql = format!("select count(*) from pg_stat_activity where usename = '{}'", self.user);
        self.world.postgres.value(&sql).await.unwrap()
    }

    /// Closes every session and waits until the cancel requests for their queries are done, so that only bytes of the
    /// test pass the relays afterwards.
    pub async fn close_all_sessions(&self) {
        let began = Instant::now();
        loop {
            self.relays.iter().for_each(Relay::reset_connections);
            let usage = self.resource_usage().await;
            let open: u64 = self.relays.iter().map(|relay| relay.stats().open).sum();
            if open == 0 && usage.iter().all(|usage| usage.connections == 0) {
                return;
            }
            assert!(began.elapsed() < CLEANUP, "{open} connections pass relays; {usage:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Checks that every slot is usable: opens `SLOTS` sessions. They log in one after the other, so that a busy machine
    /// does not exceed the handshake timeout, and run queries meanwhile.
    pub async fn fill_all_slots(&self) {
        self.clear_impairments();
        let all = watch::Sender::new(false);
        let mut sessions = Vec::new();
        for _ in 0..SLOTS {
            let session = Raw::session(self.relay(Link::AppToClient).port, &self.user).await;
            sessions.push(runtime::spawn(hold(session, all.subscribe())));
        }
        all.send_replace(true);
        for session in sessions {
            session.await.unwrap();
        }
    }

    /// Resets the relays and stops the client and the world.
    pub async fn stop(mut self) {
        self.relays.iter().for_each(Relay::reset_connections);
        self.client.stop().await;
        self.world.stop().await;
    }
}

/// Runs queries in a session until `all` sessions are open, then one more, and terminates it.
async fn hold(mut session: Raw, mut all: watch::Receiver<bool>) {
    loop {
        let last = *all.borrow();
        assert_eq!(session.query("select 'open'").await.unwrap(), "open");
        if last {
            break;
        }
        // Both outcomes lead to the next query.
        let _ = timeout(Duration::from_millis(200), all.changed()).await;
    }
    session.send(TERMINATE).await;
    assert_eq!(session.message().await, None);
}

fn random_profile(random: &mut Rng, disruptions: &[Disruption]) -> NetworkProfile {
    let profile = match random.u8(..10) {
        0 => NetworkProfile::in_chunks(random.usize(1..10)),
        1 => NetworkProfile::delayed(Duration::from_millis(random.u64(1..10))),
        _ => NetworkProfile::default(),
    };
    if random.u8(..3) > 0 {
        return profile;
    }
    let direction = if random.bool() { Direction::ToDatabase } else { Direction::ToApplication };
    // A login takes about 4 KB each way with TLS and some hundred bytes without.
    let after = [0, random.u64(..500), random.u64(..5_000), random.u64(..30_000)][random.usize(..4)];
    profile.with(direction, after, disruptions[random.usize(..disruptions.len())])
}

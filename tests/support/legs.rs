//! The chain with a relay on each of its legs.

use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::exchange::{Application, Outcome, Work};
use super::holdings::Holdings;
use super::plan::World;
use super::postgres::Postgres;
use super::proxy::Proxy;
use super::raw::{Raw, TERMINATE};
use super::relay::{Fault, Plan, Relay, Way};
use super::roles::AuthMethod;
use super::runtime;
use super::scratch::unique;
use super::world::Running;

/// How many sessions client and server take on at once.
pub const PLACES: usize = 24;

/// How long client and server wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// As long as a machine that is busy with something else may need: for faults that are noticed without a clock.
    Patient,
    /// Seconds: for faults that only time brings to light.
    Hurried,
}

/// Hurried timeouts of the server; the client's are longer, so that the server has the first word.
const SERVER: &str = "proxy: {handshake_timeout: 2s, connect_timeout: 500ms, idle_timeout: 2s}";
const CLIENT: &str = "proxy: {handshake_timeout: 3s, connect_timeout: 1s, idle_timeout: 3s}";

/// What is the same with all clocks.
const COMMON: &str = "proxy: {admin_addr: '127.0.0.1:0', max_connections: 24}";

/// When an application has surely been told: the longest timeout, the time the proxies give an application to read
/// their last words, and some for a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(12);

/// How long the proxies may hold what belongs to a connection that is no more: they give a silent side ten seconds to
/// follow, cancel what it left running, and part.
const SETTLED: Duration = Duration::from_secs(45);

/// A leg of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// From the application to the client, in clear.
    Application,
    /// From the client to the server, TLS; where a tunnel is between them, from the client to the Kubernetes API, TLS too.
    Hop,
    /// From the server to the database, TLS.
    Database,
}

/// A chain whose bytes pass three relays. The user is asked for a password in clear inside TLS, which the client
/// hands the server.
pub struct Legs {
    pub world: Running,
    pub client: Proxy,
    pub user: String,
    relays: [Relay; 3],
}

impl Leg {
    pub const ALL: [Self; 3] = [Self::Application, Self::Hop, Self::Database];
}

impl Legs {
    /// Starts it, with a user of its own.
    pub async fn start(clocks: Clocks, log_level: &str) -> Self {
        let hop = Relay::start().await;
        let upstream = format!("upstream_proxies: {{default: {{host: 'localhost:{}'}}}}", hop.port);
        let legs = Self::start_over(hop, &upstream, clocks, log_level).await;
        legs.relay(Leg::Hop).point_at(legs.world.server().port());
        legs
    }

    /// The same with another way from the client to the server: this configuration leads the client to the relay `hop`, and
    /// where that leads is for the caller to say.
    pub async fn start_over(hop: Relay, upstream: &str, clocks: Clocks, log_level: &str) -> Self {
        let relays = [Relay::start().await, hop, Relay::start().await];
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
        let world = match clocks {
            Clocks::Patient => world,
            Clocks::Hurried => world.with_server(SERVER).with_client(CLIENT),
        };
        let world = world.start().await;
        let launch = world.client_launch(&[]).env("RDS_AUTH_PROXY_PASSWORD", &password);
        let client = world.start_proxy(launch).await;
        application.point_at(client.port());
        database.point_at(world.postgres.port);
        Self { world, client, user, relays }
    }

    pub fn relay(&self, leg: Leg) -> &Relay {
        &self.relays[leg as usize]
    }

    /// Treats one leg like this, and the others well.
    pub fn treat(&self, leg: Leg, plan: Plan) {
        self.treat_well();
        self.relay(leg).treat(plan);
    }

    /// Lets everything pass from now on.
    pub fn treat_well(&self) {
        self.relays.iter().for_each(|relay| relay.treat(Plan::default()));
    }

    /// Gives each connection on every leg a treatment of its own: one in three a fault out of these, at a place from
    /// its first byte to well behind the login; some are late or in pieces.
    pub fn treat_at_random(&self, seed: u64, faults: &'static [Fault]) {
        for (leg, relay) in (0..).zip(&self.relays) {
            let mut random = Rng::with_seed(seed * 3 + leg);
            relay.treat_each(move || random_plan(&mut random, faults));
        }
    }

    /// A session through all relays.
    pub async fn exchange(&self, work: Work) -> Outcome {
        self.application().exchange(work).await
    }

    /// The same, at the same time as others.
    pub fn spawn(&self, work: Work) -> JoinHandle<Outcome> {
        runtime::spawn(self.application().exchange(work))
    }

    /// Who has sessions through all relays.
    pub fn application(&self) -> Application {
        Application { port: self.relay(Leg::Application).port, user: self.user.clone() }
    }

    /// Every fault that came to pass so far.
    pub fn faults(&self) -> Vec<(Leg, Fault)> {
        let of = |leg| self.relay(leg).seen().faults.into_iter().map(move |fault| (leg, fault));
        Leg::ALL.into_iter().flat_map(of).collect()
    }

    /// What client and server hold.
    pub async fn holdings(&self) -> [Holdings; 2] {
        [Holdings::of(&self.client).await, Holdings::of(self.world.server()).await]
    }

    /// Waits until client and server hold no connection and no more sockets than `before`, while the relays still
    /// hold theirs: nobody helps the proxies to let go. After that the relays let go, and the database must have no
    /// session left either.
    pub async fn settle(&self, before: [Holdings; 2]) {
        let began = Instant::now();
        let mut now = self.holdings().await;
        while now.iter().zip(&before).any(|(now, before)| now.exceeds(before)) {
            assert!(began.elapsed() < SETTLED, "left: {now:?}, before: {before:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
            now = self.holdings().await;
        }
        self.relays.iter().for_each(Relay::cut);
        while self.sessions_of_the_database().await != "0" {
            assert!(began.elapsed() < SETTLED, "sessions are left in the database");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn sessions_of_the_database(&self) -> String {
        let sql = format!("select count(*) from pg_stat_activity where usename = '{}'", self.user);
        self.world.postgres.value(&sql).await.unwrap()
    }

    /// Ends every session, and waits until the cancel requests for what they left behind are through as well: from then
    /// on nothing passes a relay but what a test sends.
    pub async fn hush(&self) {
        let began = Instant::now();
        loop {
            self.relays.iter().for_each(Relay::cut);
            let held = self.holdings().await;
            let open: u64 = self.relays.iter().map(|relay| relay.seen().open).sum();
            if open == 0 && held.iter().all(|held| held.connections == 0) {
                return;
            }
            assert!(began.elapsed() < SETTLED, "{open} connections pass relays; {held:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Shows that every place can be taken: all sessions at once. They log in one after the other, so that each has the
    /// whole handshake timeout for itself, and are not idle meanwhile.
    pub async fn fill(&self) {
        self.treat_well();
        let all = watch::Sender::new(false);
        let mut sessions = Vec::new();
        for _ in 0..PLACES {
            let session = Raw::session(self.relay(Leg::Application).port, &self.user).await;
            sessions.push(runtime::spawn(hold(session, all.subscribe())));
        }
        all.send_replace(true);
        for session in sessions {
            session.await.unwrap();
        }
    }

    /// Ends what the relays still hold, and all the rest.
    pub async fn stop(mut self) {
        self.relays.iter().for_each(Relay::cut);
        self.client.stop().await;
        self.world.stop().await;
    }
}

/// Keeps a session busy until `all` are there, shows that it is one of them, and takes its leave.
async fn hold(mut session: Raw, mut all: watch::Receiver<bool>) {
    loop {
        let last = *all.borrow();
        assert_eq!(session.query("select 'here'").await.unwrap(), "here");
        if last {
            break;
        }
        // Early or late, it asks again.
        let _ = timeout(Duration::from_millis(200), all.changed()).await;
    }
    session.send(TERMINATE).await;
    assert_eq!(session.message().await, None);
}

fn random_plan(random: &mut Rng, faults: &[Fault]) -> Plan {
    let plan = match random.u8(..10) {
        0 => Plan::pieces(random.usize(1..10)),
        1 => Plan::late(Duration::from_millis(random.u64(1..10))),
        _ => Plan::default(),
    };
    if random.u8(..3) > 0 {
        return plan;
    }
    let way = if random.bool() { Way::Up } else { Way::Down };
    // A login with TLS takes about 4 KB each way, one without some hundred bytes.
    let after = [0, random.u64(..500), random.u64(..5_000), random.u64(..30_000)][random.usize(..4)];
    plan.with(way, after, faults[random.usize(..faults.len())])
}

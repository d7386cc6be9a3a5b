//! Connections of applications that know nothing of a client: what TLS and the choice of the target cost a server.

use std::fmt::Write;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use crate::process::Process;
use crate::report::{median, spread};
use crate::setup::Setup;
use crate::support::certificates::{Authority, Validity};
use crate::support::proxy::{Launch, Proxy};
use crate::support::raw::{Raw, SSL_REQUEST, login, tls_config};

/// Connections of one round: a clock tick of 10 ms is then 0.025 ms for each.
const CONNECTIONS: u32 = 400;

/// Rounds of the ways to connect for each round of the loads. Some of the ways differ by less than 3 %.
const ROUNDS: usize = 5;

/// A server name of the target. `localhost` is none, so it leads to the default, which is the same target.
const SERVER_NAME: &str = "named.db.example";

/// The name in the client certificate.
const CLIENT_NAME: &str = "measured";

/// The address of the load balancer.
const BALANCER: [u8; 4] = [127, 0, 0, 2];

/// A header of version 2 for `192.0.2.7:40000`.
const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x9c\x40\x1f\x40";

/// How long the kernel, PostgreSQL and the server need to finish pending work.
const SETTLE: Duration = Duration::from_secs(1);

/// A way to connect. All but the first two log in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Handshake,
    ResumedHandshake,
    Default,
    ServerName,
    ProxyHeader,
    ClientCertificate,
    AllowedName,
    Resumed,
}

/// Two servers that differ in one key, and the TLS of their applications.
struct FrontDoor {
    server: Server,
    /// Its target has `allowed_client_names`.
    listed: Server,
    full: TlsConnector,
    with_certificate: TlsConnector,
    resuming: TlsConnector,
}

struct Server {
    process: Process,
    port: u16,
}

/// For each connection.
struct Measured {
    seconds: f64,
    cpu_seconds: f64,
}

/// The configuration of the server, beside the target `measured`, which is that of every other connection.
pub(crate) fn server() -> String {
    let certificate = Authority::trusted().issue(&["localhost", SERVER_NAME], Validity::Now);
    let (path, key) = (certificate.path.display(), certificate.key_path.display());
    let ssl = format!(
        "{{enabled: true, certificate: {path}, private_key: {key}, client_auth: request, client_ca: '<ca>'}}"
    );
    format!(
        "proxy: {{ssl: {ssl}, default_target: measured, proxy_protocol: {{from: [127.0.0.2]}}}}\n\
         targets: {{measured: {{server_names: [{SERVER_NAME}]}}}}"
    )
}

/// Resident KB of a server for one more idle session with TLS on both legs. The server is a new one: memory that earlier sessions
/// freed would hide it.
pub(crate) async fn idle(setup: &Setup, sessions: usize) -> i64 {
    let server = setup.world.start_proxy(setup.world.server_launch()).await;
    let door = FrontDoor::of(&server, &server);
    drop(door.connect(Kind::Default).await);
    sleep(SETTLE).await;
    let before = door.server.process.resource_usage();
    let mut open = Vec::new();
    for _ in 0..sessions {
        open.push(door.connect(Kind::Default).await);
    }
    sleep(SETTLE).await;
    let after = door.server.process.resource_usage();
    drop(server);
    (after.resident - before.resident) / i64::try_from(open.len()).unwrap() / 1024
}

/// Measures all kinds in interleaved rounds. Returns their table.
pub(crate) async fn ways(setup: &Setup, rounds: usize) -> String {
    let listed = setup.world.start_proxy(listed_launch(setup)).await;
    let door = FrontDoor::of(setup.world.server(), &listed);
    let mut all: Vec<_> = Kind::ALL.into_iter().map(|kind| (kind, Vec::new())).collect();
    let rounds = rounds * ROUNDS;
    for round in 0..rounds {
        eprintln!("front door, round {} of {rounds}", round + 1);
        for (kind, measured) in &mut all {
            measured.push(door.measure(*kind).await);
        }
    }
    table(&all)
}

/// The same server, where the target has a list of client certificates.
fn listed_launch(setup: &Setup) -> Launch {
    let text = fs::read_to_string(setup.world.directory.join("server.yaml")).unwrap();
    let mut config: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    config["targets"]["measured"]["allowed_client_names"] = vec![CLIENT_NAME].into();
    let path = setup.world.directory.join("listed.yaml");
    fs::write(&path, serde_yaml::to_string(&config).unwrap()).unwrap();
    setup.world.launch(Launch::mode("listed", "server", &path), &setup.world.server_key)
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Handshake,
        Self::ResumedHandshake,
        Self::Default,
        Self::ServerName,
        Self::ProxyHeader,
        Self::ClientCertificate,
        Self::AllowedName,
        Self::Resumed,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Handshake => "TLS handshake alone",
            Self::ResumedHandshake => "the same, resumed",
            Self::Default => "login at the default target",
            Self::ServerName => "login, target by server name",
            Self::ProxyHeader => "login behind a PROXY header",
            Self::ClientCertificate => "login with a client certificate",
            Self::AllowedName => "the same, its name in `allowed_client_names`",
            Self::Resumed => "login, TLS session resumed",
        }
    }

    /// What it is compared with: the same without one thing.
    fn base(self) -> Self {
        match self {
            Self::Handshake | Self::ResumedHandshake => Self::Handshake,
            Self::AllowedName => Self::ClientCertificate,
            _ => Self::Default,
        }
    }

    fn logs_in(self) -> bool {
        !matches!(self, Self::Handshake | Self::ResumedHandshake)
    }
}

impl FrontDoor {
    fn of(server: &Proxy, listed: &Proxy) -> Self {
        let (chain, key) = Authority::trusted().issue_client(CLIENT_NAME, &[], Validity::Now).der();
        let server_of = |proxy: &Proxy| Server { process: Process(proxy.id()), port: proxy.port() };
        Self {
            server: server_of(server),
            listed: server_of(listed),
            full: connector(tls_config().with_no_client_auth(), Resumption::disabled()),
            with_certificate: connector(
                tls_config().with_client_auth_cert(chain, key).unwrap(),
                Resumption::disabled(),
            ),
            resuming: connector(tls_config().with_no_client_auth(), Resumption::default()),
        }
    }

    fn server(&self, kind: Kind) -> &Server {
        if kind == Kind::AllowedName { &self.listed } else { &self.server }
    }

    async fn measure(&self, kind: Kind) -> Measured {
        // The first one brings the ticket of the others.
        self.connect(kind).await;
        let process = &self.server(kind).process;
        let (start, before) = (Instant::now(), process.cpu());
        for _ in 0..CONNECTIONS {
            self.connect(kind).await;
        }
        let connections = f64::from(CONNECTIONS);
        Measured {
            seconds: start.elapsed().as_secs_f64() / connections,
            cpu_seconds: process.cpu().saturating_sub(before).as_secs_f64() / connections,
        }
    }

    async fn connect(&self, kind: Kind) -> Raw {
        let port = self.server(kind).port;
        let mut raw = match kind {
            Kind::ProxyHeader => Raw::connect_from(BALANCER, port).await,
            _ => Raw::connect(port).await,
        };
        if kind == Kind::ProxyHeader {
            raw.send(HEADER).await;
        }
        raw.send(SSL_REQUEST).await;
        assert_eq!(raw.byte().await, Some(b'S'));
        let connector = match kind {
            Kind::ClientCertificate | Kind::AllowedName => &self.with_certificate,
            Kind::ResumedHandshake | Kind::Resumed => &self.resuming,
            _ => &self.full,
        };
        let name = if kind == Kind::ServerName { SERVER_NAME } else { "localhost" };
        let mut raw = raw.encrypt_to(name, connector).await.unwrap();
        if kind.logs_in() {
            raw.send(&login("by_trust")).await;
            raw.until_ready().await;
        } else {
            // The tickets of TLS 1.3 come behind the handshake, and each resumes one session.
            raw.close_write().await;
            raw.rest().await;
        }
        raw
    }
}

fn connector(mut config: ClientConfig, resumption: Resumption) -> TlsConnector {
    config.resumption = resumption;
    TlsConnector::from(Arc::new(config))
}

fn table(all: &[(Kind, Vec<Measured>)]) -> String {
    let cpus = |kind: Kind| {
        let (_, measured) = all.iter().find(|(other, _)| *other == kind).expect("every kind is measured");
        measured.iter().map(|one| one.cpu_seconds).collect::<Vec<_>>()
    };
    let mut table = String::from(
        "| connection without a client | time (spread) | server CPU (spread) | CPU | of |\n|---|--:|--:|--:|---|\n",
    );
    for (kind, measured) in all {
        let (cpu, base) = (cpus(*kind), cpus(kind.base()));
        let times: Vec<_> = measured.iter().map(|one| one.seconds).collect();
        let ratios: Vec<_> = cpu.iter().zip(&base).map(|(own, base)| own / base).collect();
        let cells = [
            kind.name().to_owned(),
            spread(&times, 1e3, 2, "ms"),
            spread(&cpu, 1e3, 2, "ms"),
            format!("{:.0} %", median(&ratios) * 100.0),
            kind.base().name().to_owned(),
        ];
        writeln!(table, "| {} |", cells.join(" | ")).unwrap();
    }
    table
}

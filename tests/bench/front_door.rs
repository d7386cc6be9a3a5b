//! Connections of applications that know nothing of a client: what TLS and the choice of the target cost a server.

use std::fmt::Write;
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
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, SSL_REQUEST, login, tls_config};

/// Connections of one round: a clock tick of 10 ms is then 0.025 ms for each.
const CONNECTIONS: u32 = 400;

/// A server name of the target. `localhost` is none, so it leads to the default, which is the same target.
const SERVER_NAME: &str = "named.db.example";

/// The address of the load balancer.
const BALANCER: [u8; 4] = [127, 0, 0, 2];

/// A header of version 2 for `192.0.2.7:40000`.
const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x9c\x40\x1f\x40";

/// How long the kernel, PostgreSQL and the server need to finish pending work.
const SETTLE: Duration = Duration::from_secs(1);

/// A way to connect. All but the first log in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Handshake,
    Default,
    ServerName,
    ClientCertificate,
    ProxyHeader,
    Resumed,
}

/// A server, and the TLS of its applications.
struct FrontDoor {
    server: Process,
    port: u16,
    full: TlsConnector,
    with_certificate: TlsConnector,
    resuming: TlsConnector,
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
    let door = FrontDoor::of(&server);
    drop(door.connect(Kind::Default).await);
    sleep(SETTLE).await;
    let before = door.server.resource_usage();
    let mut open = Vec::new();
    for _ in 0..sessions {
        open.push(door.connect(Kind::Default).await);
    }
    sleep(SETTLE).await;
    let after = door.server.resource_usage();
    drop(server);
    (after.resident - before.resident) / i64::try_from(open.len()).unwrap() / 1024
}

/// Measures all kinds in interleaved rounds. Returns their table.
pub(crate) async fn ways(setup: &Setup, rounds: usize) -> String {
    let door = FrontDoor::of(setup.world.server());
    let mut all: Vec<_> = Kind::ALL.into_iter().map(|kind| (kind, Vec::new())).collect();
    for round in 0..rounds {
        eprintln!("front door, round {} of {rounds}", round + 1);
        for (kind, measured) in &mut all {
            measured.push(door.measure(*kind).await);
        }
    }
    table(&all)
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Handshake,
        Self::Default,
        Self::ServerName,
        Self::ClientCertificate,
        Self::ProxyHeader,
        Self::Resumed,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Handshake => "TLS handshake alone",
            Self::Default => "login at the default target",
            Self::ServerName => "the same, target by server name",
            Self::ClientCertificate => "the same, with a client certificate",
            Self::ProxyHeader => "the same, behind a PROXY header",
            Self::Resumed => "the same, TLS session resumed",
        }
    }
}

impl FrontDoor {
    fn of(server: &Proxy) -> Self {
        let (chain, key) = Authority::trusted().issue_client("measured", &[], Validity::Now).der();
        Self {
            server: Process(server.id()),
            port: server.port(),
            full: connector(tls_config().with_no_client_auth(), Resumption::disabled()),
            with_certificate: connector(
                tls_config().with_client_auth_cert(chain, key).unwrap(),
                Resumption::disabled(),
            ),
            resuming: connector(tls_config().with_no_client_auth(), Resumption::default()),
        }
    }

    async fn measure(&self, kind: Kind) -> Measured {
        // The first one brings the ticket of the others.
        self.connect(kind).await;
        let (start, before) = (Instant::now(), self.server.cpu());
        for _ in 0..CONNECTIONS {
            self.connect(kind).await;
        }
        let connections = f64::from(CONNECTIONS);
        Measured {
            seconds: start.elapsed().as_secs_f64() / connections,
            cpu_seconds: self.server.cpu().saturating_sub(before).as_secs_f64() / connections,
        }
    }

    async fn connect(&self, kind: Kind) -> Raw {
        let mut raw = match kind {
            Kind::ProxyHeader => Raw::connect_from(BALANCER, self.port).await,
            _ => Raw::connect(self.port).await,
        };
        if kind == Kind::ProxyHeader {
            raw.send(HEADER).await;
        }
        raw.send(SSL_REQUEST).await;
        assert_eq!(raw.byte().await, Some(b'S'));
        let connector = match kind {
            Kind::ClientCertificate => &self.with_certificate,
            Kind::Resumed => &self.resuming,
            _ => &self.full,
        };
        let name = if kind == Kind::ServerName { SERVER_NAME } else { "localhost" };
        let mut raw = raw.encrypt_to(name, connector).await.unwrap();
        if kind != Kind::Handshake {
            raw.send(&login("by_trust")).await;
            raw.until_ready().await;
        }
        raw
    }
}

fn connector(mut config: ClientConfig, resumption: Resumption) -> TlsConnector {
    config.resumption = resumption;
    TlsConnector::from(Arc::new(config))
}

fn table(all: &[(Kind, Vec<Measured>)]) -> String {
    let cpus = |measured: &[Measured]| measured.iter().map(|one| one.cpu_seconds).collect::<Vec<_>>();
    let default = all.iter().find(|(kind, _)| *kind == Kind::Default).map(|(_, measured)| cpus(measured));
    let default = default.unwrap_or_default();
    let mut table = String::from(
        "| connection without a client | time (spread) | server CPU (spread) | CPU against the default |\n|---|--:|--:|--:|\n",
    );
    for (kind, measured) in all {
        let cpu = cpus(measured);
        let times: Vec<_> = measured.iter().map(|one| one.seconds).collect();
        let ratios: Vec<_> = cpu.iter().zip(&default).map(|(own, default)| own / default).collect();
        let cells = [
            kind.name().to_owned(),
            spread(&times, 1e3, 2, "ms"),
            spread(&cpu, 1e3, 2, "ms"),
            format!("{:.0} %", median(&ratios) * 100.0),
        ];
        writeln!(table, "| {} |", cells.join(" | ")).unwrap();
    }
    table
}

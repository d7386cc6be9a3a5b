//! The version of a client, which a server requests by ALPN (RFC 7301) and no other hop receives.
//!
//! The oracle for the others: PostgreSQL 17 and later select `postgresql` among the offered protocols, and refuse a client that
//! does not offer it (`alpn_cb` in `src/backend/libpq/be-secure-openssl.c`); the Go program and older databases select none. Each
//! refuses an unknown startup parameter, as PostgreSQL does this one.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::server::Acceptor;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;
use tokio_rustls::LazyConfigAcceptor;

use crate::cancel::{expect_cancelled, request_cancel, sleeper};
use crate::operations::{ADMIN, get, until_counted};
use crate::support::builder::World;
use crate::support::certificates::{Authority, Validity};
use crate::support::fake_database::{FakeDatabase, LOGIN_OK};
use crate::support::instance::REGION;
use crate::support::protocol::{FirstPacket, Startup, read_first};
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, SSL_REQUEST, V3_0, startup, tls};
use crate::support::roles::DATABASE;
use crate::support::token::sign;
use crate::support::world::Running;

const VERSION: &str = "rds-auth-proxy.version";
const EXTENSION: &str = "rds-auth-proxy/1";
const POSTGRESQL: &[u8] = b"postgresql";
const OWN: &str = env!("CARGO_PKG_VERSION");

/// The `client_version` of the log lines with this message.
fn logged(proxy: &Proxy, message: &str) -> Vec<Value> {
    let log = proxy.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).map(|line| line["client_version"].clone()).collect()
}

fn count(version: &str, sessions: u64) -> String {
    format!("rds_auth_proxy_client_sessions_total{{version=\"{version}\"}} {sessions}")
}

#[tokio::test]
async fn the_server_logs_and_counts_the_version_and_the_database_never_sees_it() {
    let world = World::new().with_server_tls().with_server(ADMIN).start().await;
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    world.server().wait_for_log("session ended").await;
    for message in ["session began", "session ended"] {
        assert_eq!(logged(world.server(), message), [OWN], "{message}");
    }
    until_counted(world.server(), &[&count(OWN, 1)]).await;
    world.identities.change(&world.key.id, |key| key.may_connect = false);
    world.refusal("alice").await;
    world.server().wait_for_log("connection refused").await;
    assert_eq!(logged(world.server(), "connection refused"), [OWN]);
    let logins = world.rds().logins();
    assert_eq!(logins.len(), 2);
    for login in logins {
        assert!(login.parameters.iter().all(|(name, _)| !name.starts_with("rds-auth-proxy")), "{login:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_application_cannot_state_the_version_of_its_client() {
    let world = World::new().with_server_tls().start().await;
    let parameters = [("user", "alice"), ("database", DATABASE), (VERSION, "6.6.6")];
    drop(Raw::log_in(world.client().port(), &parameters).await.unwrap());
    world.server().wait_for_log("session began").await;
    assert_eq!(logged(world.server(), "session began"), [OWN]);
    world.stop().await;
}

#[tokio::test]
async fn a_query_is_cancelled_through_a_server_that_requests_the_version() {
    let world = World::new().with_server_tls().start().await;
    let (mut session, key) = sleeper(&world, world.client()).await;
    request_cancel(world.client(), &key).await;
    expect_cancelled(&mut session).await;
    drop(session);
    world.stop().await;
}

/// A startup packet has at most 10,000 bytes, and an application may use them all.
#[tokio::test]
async fn a_packet_without_room_goes_without_the_version() {
    let world = World::new().with_server_tls().with_client_flag("--password").with_client_flag("x");
    let world = world.start().await;
    let endpoint = world.rds().endpoint();
    let added = startup(V3_0, &[("host", &endpoint), ("password", "x")]).len();
    let packet =
        |name: &str| startup(V3_0, &[("user", "alice"), ("database", DATABASE), ("application_name", name)]);
    // The client's packet has 9,990 bytes behind its length word; both have a version and a final zero byte.
    let name = "n".repeat(9_990 + 4 + 4 + 4 + 1 - added - packet("").len());
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&packet(&name)).await;
    // The password is wrong.
    raw.refused().await.expect("28000", &["PAM authentication failed"]);
    world.server().wait_for_log("connection refused").await;
    assert_eq!(logged(world.server(), "connection refused"), [""]);
    world.stop().await;
}

/// What a hop saw: the protocols of the handshake, and the startup packet.
type Seen = Arc<Mutex<Vec<(Vec<String>, Startup)>>>;

/// How a scripted hop answers an SSLRequest.
#[derive(Clone)]
enum Answer {
    Tls(Arc<ServerConfig>),
    Plaintext,
}

/// A hop that accepts every login.
async fn hop(answer: Answer) -> (FakeDatabase, Seen) {
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let hop = FakeDatabase::start(move |stream| {
        let (answer, record) = (answer.clone(), Arc::clone(&record));
        async move {
            drop(serve(stream, answer, &record).await);
        }
    })
    .await;
    (hop, seen)
}

async fn serve(mut stream: TcpStream, answer: Answer, seen: &Seen) -> std::io::Result<()> {
    let config = match answer {
        Answer::Plaintext => {
            let mut first = read_first(&mut stream).await?;
            if let FirstPacket::SslRequest = first {
                stream.write_all(b"N").await?;
                first = read_first(&mut stream).await?;
            }
            note(seen, Vec::new(), first);
            stream.write_all(LOGIN_OK).await?;
            return until_end(&mut stream).await;
        }
        Answer::Tls(config) => config,
    };
    let FirstPacket::SslRequest = read_first(&mut stream).await? else { panic!("no SSLRequest") };
    stream.write_all(b"S").await?;
    let handshake = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let offered = handshake.client_hello().alpn().into_iter().flatten();
    let offered = offered.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let mut stream = handshake.into_stream(config).await?;
    note(seen, offered, read_first(&mut stream).await?);
    stream.write_all(LOGIN_OK).await?;
    stream.flush().await?;
    until_end(&mut stream).await
}

fn note(seen: &Seen, offered: Vec<String>, first: FirstPacket) {
    let FirstPacket::Startup(startup) = first else { panic!("{first:?}") };
    seen.lock().unwrap().push((offered, startup));
}

async fn until_end(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    tokio::io::copy(stream, &mut tokio::io::sink()).await.map(drop)
}

fn tls_with(protocols: &[&str]) -> Answer {
    let certificate = Authority::trusted().issue(&["localhost"], Validity::Now);
    let mut config = ServerConfig::clone(&certificate.server_config(false));
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Answer::Tls(Arc::new(config))
}

/// Logs in through a client with this upstream proxy, at a target without a token.
async fn log_in_behind(hop: &FakeDatabase, mode: &str) {
    let upstream = format!("{{other: {{host: 'localhost:{}', ssl: {{mode: {mode}}}}}}}", hop.port);
    let world = World::new()
        .with_client("targets: {fixed: {host: 'db.example.com:5432'}}")
        .with_client(&format!("upstream_proxies: {upstream}"))
        .without_server()
        .without_client()
        .start()
        .await;
    let client = world.start_client(&["--target", "fixed", "--proxy-target", "other"]).await;
    drop(client.config("alice").connect(NoTls).await.unwrap());
    world.stop().await;
}

#[tokio::test]
async fn a_hop_that_did_not_request_the_version_does_not_receive_it() {
    for (answer, mode) in [
        (tls_with(&["postgresql"]), "require"),
        (tls_with(&[]), "require"),
        (Answer::Plaintext, "disable"),
        (Answer::Plaintext, "prefer"),
    ] {
        let offered = if let Answer::Tls(_) = answer { &["postgresql", EXTENSION][..] } else { &[] };
        let (hop, seen) = hop(answer).await;
        log_in_behind(&hop, mode).await;
        let seen = seen.lock().unwrap().clone();
        let [(found, startup)] = seen.as_slice() else { panic!("{mode}: {seen:?}") };
        assert_eq!(found, offered, "{mode}");
        assert_eq!(startup.find(VERSION), None, "{mode}: {startup:?}");
        assert_eq!(startup.find("host"), Some("db.example.com:5432"), "{mode}: {startup:?}");
    }
}

#[tokio::test]
async fn a_hop_that_requests_the_version_receives_it_once() {
    let (hop, seen) = hop(tls_with(&[EXTENSION, "postgresql"])).await;
    log_in_behind(&hop, "require").await;
    let seen = seen.lock().unwrap().clone();
    let [(_, startup)] = seen.as_slice() else { panic!("{seen:?}") };
    let values: Vec<_> = startup.parameters.iter().filter(|(name, _)| name == VERSION).collect();
    assert_eq!(values, [&(VERSION.to_owned(), OWN.to_owned())]);
}

#[tokio::test]
async fn a_database_is_offered_the_protocol_of_postgresql_only() {
    let (hop, seen) = hop(tls_with(&[EXTENSION, "postgresql"])).await;
    let target = format!("{{host: 'localhost:{}', ssl: {{mode: require}}}}", hop.port);
    let world = World::new().with_target("other", &target).without_client().start().await;
    for mode in [&[][..], &["--direct"]] {
        let client = world.start_client(&[mode, &["--target", "other"]].concat()).await;
        drop(client.config("alice").connect(NoTls).await.unwrap());
    }
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2);
    for (offered, startup) in seen {
        assert_eq!(offered, ["postgresql"]);
        assert_eq!(startup.find(VERSION), None, "{startup:?}");
    }
    world.stop().await;
}

/// Logs in at the server like a client, over TLS with these protocols or without TLS.
async fn log_in(world: &Running, protocols: Option<&[&[u8]]>, version: &str) {
    let endpoint = world.rds().endpoint();
    let token = sign(&endpoint, REGION, "alice", &world.key, SystemTime::now());
    let parameters = [
        ("user", "alice"),
        ("database", DATABASE),
        ("host", endpoint.as_str()),
        ("password", token.as_str()),
        (VERSION, version),
    ];
    let mut raw = Raw::connect(world.server().port()).await;
    if let Some(protocols) = protocols {
        raw.send(SSL_REQUEST).await;
        assert_eq!(raw.byte().await, Some(b'S'));
        raw = raw.encrypt(&tls(protocols)).await.unwrap();
    }
    raw.send(&startup(V3_0, &parameters)).await;
    raw.until_ready().await;
}

/// Direct TLS needs a protocol, and either is one.
#[tokio::test]
async fn direct_tls_may_offer_both_protocols() {
    let world = World::new().with_server_tls().without_client().start().await;
    let endpoint = world.rds().endpoint();
    let token = sign(&endpoint, REGION, "alice", &world.key, SystemTime::now());
    let parameters = [("user", "alice"), ("database", DATABASE), ("host", &endpoint), ("password", &token)];
    for protocols in [&[POSTGRESQL, EXTENSION.as_bytes()][..], &[POSTGRESQL]] {
        let raw = Raw::connect(world.server().port()).await;
        let mut raw = raw.encrypt(&tls(protocols)).await.unwrap();
        raw.send(&startup(V3_0, &parameters)).await;
        raw.until_ready().await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_hostile_version_is_bounded() {
    let world = World::new().with_server_tls().with_server(ADMIN).without_client().start().await;
    let extension = [EXTENSION.as_bytes()];
    let both = [POSTGRESQL, EXTENSION.as_bytes()];
    let long = "1".repeat(65);
    let hostile = ["", "1.0 0", "1.0\n0", "1.0\"}", "v\u{fc}", long.as_str()];
    for version in hostile {
        log_in(&world, Some(&extension[..]), version).await;
    }
    // Without a request nothing counts: the protocol of PostgreSQL, none at all, no TLS.
    log_in(&world, Some(&both[..1]), "1.0.0").await;
    log_in(&world, Some(&[]), "1.0.0").await;
    log_in(&world, None, "1.0.0").await;
    let unknown = u64::try_from(hostile.len() + 3).unwrap();
    until_counted(world.server(), &[&count("unknown", unknown)]).await;
    assert!(logged(world.server(), "session began").iter().all(|version| version == ""));

    for number in 0..25 {
        log_in(&world, Some(&both[..]), &format!("1.{number}.0-rc+x")).await;
    }
    until_counted(world.server(), &[&count("other", 5), &count("1.0.0-rc+x", 1)]).await;
    let (_, metrics) = get(world.server(), "/metrics").await;
    let counters = metrics.lines().filter(|line| line.starts_with("rds_auth_proxy_client_sessions_total{"));
    assert_eq!(counters.count(), 22, "{metrics}");
    world.stop().await;
}

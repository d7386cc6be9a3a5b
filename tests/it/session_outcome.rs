//! The audit line and the counter at the end of a session: which side ended it, how, and why. The tests cover every
//! value that docs/operations.md lists.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::cancel::wait_for_queries;
use crate::operations::{ADMIN, last_line, lines, until_counted};
use crate::support::builder::World;
use crate::support::fake_database::{FakeDatabase, LOGIN_OK};
use crate::support::protocol::{FirstPacket, read_first};
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, TERMINATE, V3_0, query, startup};
use crate::support::relay::Relay;
use crate::support::roles::DATABASE;
use crate::support::scratch::unique;
use crate::support::world::Running;

/// The time limit for the audit line: a side that does not close has ten seconds.
const LIMIT: Duration = Duration::from_mins(1);

/// The sessions of the test and the fields of their audit lines.
const OUTCOMES: [(&str, &str, &str, &str, &str); 6] = [
    // application_name, target, ended_by, outcome, beginning of `error`
    ("app-leaves", "db-1", "application", "closed", ""),
    ("app-breaks", "db-1", "application", "broken", "Connection reset by peer"),
    ("app-vanishes", "db-1", "application", "vanished", ""),
    ("db-closes", "db-1", "hop", "closed", "terminating connection due to administrator command"),
    ("db-breaks", "relayed", "hop", "broken", "Connection reset by peer"),
    ("db-vanishes", "fake", "hop", "vanished", ""),
];

#[tokio::test]
async fn the_audit_line_names_the_side_that_ended_the_session_and_how() {
    let relay = Relay::start().await;
    let (connections, mut accepted) = mpsc::unbounded_channel();
    let fake = FakeDatabase::start(move |stream| {
        connections.send(stream).unwrap();
        std::future::ready(())
    })
    .await;
    let relayed =
        format!("{{host: 'localhost:{}', ssl: {{mode: verify-full, root_certificate: <ca>}}}}", relay.port);
    let world = World::new().with_server(ADMIN).without_client();
    let world = world.with_target("relayed", &relayed).with_target("fake", &fake.target("disable"));
    let world = world.start().await;
    relay.set_target(world.postgres.port);
    let (database, relayed) = (world.rds().endpoint(), format!("localhost:{}", relay.port));

    let full = full_session(&world, fake.port, &mut accepted).await;
    let vanished = begin(&world, "app-vanishes", &database).await;
    let vanished = abandon_query(&world, vanished).await;

    let mut leaving = begin(&world, "app-leaves", &database).await;
    leaving.send(TERMINATE).await;
    assert_eq!(leaving.message().await, None);

    reset_session(&world, &database).await;

    let mut closed = begin(&world, "db-closes", &database).await;
    let terminate =
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'db-closes'";
    world.postgres.value(terminate).await.unwrap();
    assert_eq!(closed.refused().await.sqlstate(), "57P01");

    let mut broken = begin(&world, "db-breaks", &relayed).await;
    relay.reset_connections();
    broken.refused().await.expect("08006", &["rds-auth-proxy: the connection to", "was lost"]);

    let mut counted = Vec::new();
    for (application, target, ended_by, outcome, error) in OUTCOMES {
        let line = end_of(world.server(), application).await;
        assert_eq!(line["target"], target, "{line}");
        assert_eq!((&line["ended_by"], &line["outcome"]), (&ended_by.into(), &outcome.into()), "{line}");
        let logged = line["error"].as_str().unwrap();
        assert!(logged.starts_with(error) && logged.is_empty() == error.is_empty(), "{line}");
        let sqlstate = match application {
            "db-closes" => "57P01",
            "db-breaks" => "08006",
            _ => "",
        };
        assert_eq!(line["sqlstate"], sqlstate, "{line}");
        counted.push(format!(
            "rds_auth_proxy_sessions_total{{target=\"{target}\",ended_by=\"{ended_by}\",outcome=\"{outcome}\"}} 1"
        ));
    }
    let counted: Vec<_> = counted.iter().map(String::as_str).collect();
    until_counted(world.server(), &counted).await;
    drop((full, vanished));
    world.stop().await;
}

#[tokio::test]
async fn the_audit_line_says_that_the_proxy_ended_the_session() {
    let timeouts = "proxy: {admin_addr: '127.0.0.1:0', idle_timeout: 3s, drain_timeout: 500ms}";
    let mut world = World::new().with_server(timeouts).start().await;
    let idle = unique("idle");
    named_session(&world, &idle).await.refused().await.expect("57P05", &["idle_timeout"]);
    let line = end_of(world.server(), &idle).await;
    assert_eq!((&line["ended_by"], &line["outcome"]), (&"proxy".into(), &"idle_timeout".into()), "{line}");
    let counted =
        "rds_auth_proxy_sessions_total{target=\"db-1\",ended_by=\"proxy\",outcome=\"idle_timeout\"} 1";
    until_counted(world.server(), &[counted]).await;
    expect_hop_closed(world.client(), &idle).await;

    let drained = unique("drained");
    let mut session = named_session(&world, &drained).await;
    world.server().signal(Signal::TERM);
    session.refused().await.expect("57P01", &["this proxy is shutting down"]);
    let line = end_of(world.server(), &drained).await;
    assert_eq!((&line["ended_by"], &line["outcome"]), (&"proxy".into(), &"shutdown".into()), "{line}");
    expect_hop_closed(world.client(), &drained).await;
    drop(session);
    assert!(world.proxy_mut("server").wait().await.success());
}

#[tokio::test]
async fn the_audit_line_of_a_client_blames_a_killed_server() {
    let mut world = World::new().start().await;
    let left = unique("left");
    let mut session = named_session(&world, &left).await;
    world.proxy_mut("server").kill();
    session.refused().await.expect("08006", &["the connection to the upstream proxy default at localhost:"]);
    expect_hop_closed(world.client(), &left).await;
}

/// A session of `by_trust` at the server, without a client.
async fn begin(world: &Running, application: &str, host: &str) -> Raw {
    let stream = TcpStream::connect(("127.0.0.1", world.server().port())).await.unwrap();
    begin_on(stream, application, host).await
}

async fn begin_on(stream: TcpStream, application: &str, host: &str) -> Raw {
    let mut raw = Raw::over(stream);
    raw.send(&login(application, host)).await;
    raw.until_ready().await;
    raw
}

fn login(application: &str, host: &str) -> Vec<u8> {
    let parameters =
        [("user", "by_trust"), ("database", DATABASE), ("host", host), ("application_name", application)];
    startup(V3_0, &parameters)
}

/// A session through client and server.
async fn named_session(world: &Running, application: &str) -> Raw {
    let parameters = [("user", "alice"), ("database", DATABASE), ("application_name", application)];
    Raw::log_in(world.client().port(), &parameters).await.expect("the login fails").0
}

/// Starts a long query and closes the sending direction, which PostgreSQL does not notice while it works.
async fn abandon_query(world: &Running, mut session: Raw) -> Raw {
    let sql = format!("select pg_sleep(300) as {}", unique("left"));
    session.send(&query(&sql)).await;
    wait_for_queries(world, &sql, 1).await;
    session.close_write().await;
    session
}

/// Closes a session with RST in place of FIN (socket(7), `SO_LINGER` of zero).
async fn reset_session(world: &Running, host: &str) {
    let stream = TcpStream::connect(("127.0.0.1", world.server().port())).await.unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(begin_on(stream, "app-breaks", host).await);
}

/// Bytes that the database of [`full_session`] sends at once: less than the proxy's buffer.
const CHUNK: usize = 16 * 1024;

/// A session whose application does not read and whose database closes once all buffers are full. The proxy keeps
/// bytes that it cannot deliver.
async fn full_session(world: &Running, port: u16, databases: &mut mpsc::UnboundedReceiver<TcpStream>) -> Raw {
    let stream = TcpStream::connect(("127.0.0.1", world.server().port())).await.unwrap();
    let connection =
        AppConnection { server: world.server().port(), app: stream.local_addr().unwrap().port() };
    let mut app = Raw::over(stream);
    app.send(&login("db-vanishes", &format!("localhost:{port}"))).await;
    let mut database = databases.recv().await.unwrap();
    assert!(matches!(read_first(&mut database).await, Ok(FirstPacket::Startup(_))));
    database.write_all(LOGIN_OK).await.unwrap();
    app.until_ready().await;
    let mut sent = 0;
    while connection.accepts(sent).await {
        database.write_all(&[b'x'; CHUNK]).await.unwrap();
        sent += CHUNK;
    }
    app
}

/// The ports of the connection between application and server.
struct AppConnection {
    server: u16,
    app: u16,
}

impl AppConnection {
    /// Whether the server writes this many bytes to the socket: they wait in its send or the application's receive queue.
    async fn accepts(&self, bytes: usize) -> bool {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) {
            if queue(self.server, self.app, 0) + queue(self.app, self.server, 1) >= bytes {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        false
    }
}

/// Bytes in the send queue (0) or receive queue (1) of a loopback socket (Linux, `proc_net_tcp`).
pub(crate) fn queue(local: u16, remote: u16, which: usize) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let ends = format!(" 0100007F:{local:04X} 0100007F:{remote:04X} ");
    let line =
        table.lines().find(|line| line.contains(&ends)).expect("the connection is not in /proc/net/tcp");
    let queues = line.split_whitespace().nth(4).unwrap().split(':').nth(which).unwrap();
    usize::from_str_radix(queues, 16).unwrap()
}

/// The audit line of a server at the end of this application's session.
async fn end_of(server: &Proxy, application: &str) -> Value {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        let mut ended = lines(server, "session ended").into_iter();
        if let Some(line) = ended.find(|line| line["application_name"] == application) {
            return line;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no audit line for the end of {application}\n{}", server.stderr.tail(40));
}

/// Expects a client to log that the hop closed the session.
async fn expect_hop_closed(client: &Proxy, application: &str) {
    let line = last_line(client, application, LIMIT).await;
    assert!(line.contains("ended_by=\"hop\" outcome=\"closed\""), "{line}");
}

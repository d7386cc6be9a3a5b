//! Peers that break an established TLS connection with invalid bytes or with renegotiation.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::support::builder::World;
use crate::support::certificates::{Authority, Validity};
use crate::support::fake_database::{FakeDatabase, LOGIN_OK, accept_tls, acceptor};
use crate::support::output::Output;
use crate::support::ports::free_port;
use crate::support::protocol::read_first;
use crate::support::raw::{Raw, SSL_REQUEST, V3_0, login, startup, tls};
use crate::support::roles::DATABASE;
use crate::support::world::Running;

/// The time limit of each wait.
const LIMIT: Duration = Duration::from_secs(20);

async fn world_with_tls() -> Running {
    World::new().with_server_tls().with_client_tls().start().await
}

fn hello(world: &Running) -> Vec<u8> {
    let endpoint = world.rds().endpoint();
    startup(V3_0, &[("user", "by_trust"), ("database", DATABASE), ("host", &endpoint)])
}

/// No TLS record, a record of an unknown type, one that is too long, and one that is not encrypted.
const GARBAGE: [&[u8]; 4] = [
    b"Q\0\0\0\x0dselect 1\0",
    b"\x63\x03\x03\0\x04beep",
    b"\x17\x03\x03\xff\xff",
    b"\x17\x03\x03\0\x20thirty-two bytes, not encrypted..",
];

#[tokio::test]
async fn invalid_tls_bytes_of_an_application_end_only_its_session() {
    let world = world_with_tls().await;
    for port in [world.client().port(), world.server().port()] {
        let mut other = Raw::connect(port).await.request_tls().await;
        other.send(&hello(&world)).await;
        other.until_ready().await;
        for garbage in GARBAGE {
            for logged_in in [false, true] {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.write_all(SSL_REQUEST).await.unwrap();
                assert_eq!(stream.read_u8().await.unwrap(), b'S');
                let name = ServerName::try_from("localhost").unwrap();
                let mut stream = tls(&[]).connect(name, stream).await.unwrap();
                if logged_in {
                    stream.write_all(&hello(&world)).await.unwrap();
                    let mut received = vec![0; 9];
                    stream.read_exact(&mut received).await.unwrap();
                    assert_eq!(received, LOGIN_OK[..9]);
                }
                let (mut stream, _) = stream.into_inner();
                stream.write_all(garbage).await.unwrap();
                let end = timeout(LIMIT, stream.read_to_end(&mut Vec::new())).await;
                // The proxy closes or resets the connection.
                end.unwrap_or_else(|_| panic!("the connection stays open: {garbage:?}, {logged_in}")).ok();
            }
        }
        assert_eq!(other.query("select 'unharmed'").await.unwrap(), "unharmed");
    }
    world.stop().await;
}

#[tokio::test]
async fn invalid_tls_bytes_of_a_database_end_the_session_with_an_error() {
    for garbage in GARBAGE {
        let acceptor = acceptor();
        let logged_in = Arc::new(Notify::new());
        let wait = Arc::clone(&logged_in);
        let fake = FakeDatabase::start(move |stream| {
            let (acceptor, wait) = (acceptor.clone(), Arc::clone(&wait));
            async move {
                let mut stream = accept_tls(stream, &acceptor).await;
                stream.write_all(LOGIN_OK).await.unwrap();
                stream.flush().await.unwrap();
                wait.notified().await;
                let (mut stream, _) = stream.into_inner();
                stream.write_all(garbage).await.unwrap();
                let _ended = stream.read_to_end(&mut Vec::new()).await;
            }
        })
        .await;
        let world =
            World::new().with_target("fake", &fake.target("verify-full")).target("fake").start().await;
        let direct = world.start_client(&["--direct"]).await;
        for port in [world.client().port(), direct.port()] {
            let mut raw = Raw::session(port, "alice").await;
            logged_in.notify_one();
            let refused = timeout(LIMIT, raw.refused()).await.expect("the session stays open");
            refused.expect("08006", &["rds-auth-proxy: ", "was lost"]);
        }
        world.stop().await;
    }
}

/// TLS 1.2 has renegotiation, which rustls does not support: it sends the alert
/// `no_renegotiation`, and closes the connection if the peer insists.
#[tokio::test]
async fn renegotiation_by_an_application_in_its_session_is_declined() {
    let world = world_with_tls().await;
    for port in [world.client().port(), world.server().port()] {
        let output = renegotiate(port, &hello(&world)).await;
        assert!(output.contains("no renegotiation"), "{output}");
    }
    world.stop().await;
}

#[tokio::test]
async fn renegotiation_by_an_application_before_its_login_ends_the_connection() {
    let short = "proxy: {handshake_timeout: 5s}";
    let world = World::new().with_server_tls().with_client_tls().with_server(short).with_client(short);
    let world = world.start().await;
    for port in [world.client().port(), world.server().port()] {
        renegotiate(port, b"").await;
    }
    world.stop().await;
}

/// Renegotiates with `openssl s_client` and returns its output after the proxy has closed the connection.
async fn renegotiate(port: u16, startup: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-starttls", "postgres", "-tls1_2", "-verify_return_error", "-CAfile"])
        .arg(&Authority::trusted().path)
        .args(["-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl is needed");
    let mut stdin = child.stdin.take().unwrap();
    let stdout = Output::collect("openssl's stdout".into(), child.stdout.take().unwrap());
    let stderr = Output::collect("openssl's stderr".into(), child.stderr.take().unwrap());
    let wait_for = async |text: &str| {
        let printed = async {
            while !stdout.text().contains(text) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let printed = timeout(LIMIT, printed).await;
        printed.unwrap_or_else(|_| panic!("no {text}: {}{}", stdout.text(), stderr.text()));
    };
    // OpenSSL reads commands only after the handshake, and only at the beginning of a read.
    wait_for("Verify return code: 0").await;
    if !startup.is_empty() {
        stdin.write_all(startup).await.unwrap();
        stdin.flush().await.unwrap();
        wait_for("server_version").await;
    }
    stdin.write_all(b"R\n").await.unwrap();
    stdin.flush().await.unwrap();
    timeout(LIMIT, child.wait()).await.expect("openssl does not end").unwrap();
    for output in [&stdout, &stderr] {
        output.wait_for(LIMIT, |_| None::<()>).await;
    }
    let output = stdout.text() + &stderr.text();
    assert!(output.contains("Verify return code: 0") && output.contains("RENEGOTIATING"), "{output}");
    output
}

#[tokio::test]
async fn renegotiation_by_a_database_before_the_login_fails_the_login() {
    let mut openssl = openssl_server().await;
    let port = openssl.port;
    let fake = FakeDatabase::start(move |mut stream| async move {
        let _ = read_first(&mut stream).await;
        let _ = stream.write_all(b"S").await;
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
    })
    .await;
    let short = "proxy: {handshake_timeout: 3s}";
    let world = World::new().with_target("fake", &fake.target("verify-full")).target("fake");
    let world = world.with_server(short).with_client(short).start().await;
    let direct = world.start_client(&["--direct"]).await;
    for (number, port) in (1..).zip([world.client().port(), direct.port()]) {
        let mut raw = Raw::connect(port).await;
        raw.send(&login("alice")).await;
        // OpenSSL prints this after each handshake and reads no commands before.
        openssl.wait_for("CIPHER is ", number).await;
        openssl.stdin.write_all(b"R\n").await.unwrap();
        openssl.stdin.flush().await.unwrap();
        let refused = timeout(LIMIT, raw.refused()).await.expect("the session stays open");
        refused.expect("57P03", &["rds-auth-proxy: "]);
    }
    world.stop().await;
}

/// `openssl s_server`, which reads commands from its standard input.
struct OpensslServer {
    port: u16,
    stdin: ChildStdin,
    stdout: Output,
    _child: Child,
}

impl OpensslServer {
    /// Waits until it has printed `text` `times` times.
    async fn wait_for(&self, text: &str, times: usize) {
        for _ in 0..500 {
            if self.stdout.text().matches(text).count() >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no {text}: {}", self.stdout.text());
    }
}

async fn openssl_server() -> OpensslServer {
    let certificate = Authority::trusted().issue(&["localhost"], Validity::Now);
    let port = free_port();
    let mut child = Command::new("openssl")
        .args(["s_server", "-tls1_2", "-accept", &format!("127.0.0.1:{port}"), "-cert"])
        .arg(&certificate.path)
        .arg("-key")
        .arg(&certificate.key_path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("openssl is needed");
    let stdin = child.stdin.take().unwrap();
    let stdout = Output::collect("openssl's stdout".into(), child.stdout.take().unwrap());
    let openssl = OpensslServer { port, stdin, stdout, _child: child };
    openssl.wait_for("ACCEPT", 1).await;
    openssl
}

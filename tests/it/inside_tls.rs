//! Peers that break TLS once it is up: with bytes that are none of it, and with renegotiation.

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

/// How long anything here may take to end.
const SOON: Duration = Duration::from_secs(20);

async fn world_with_tls() -> Running {
    World::new().with_server_tls().with_client_tls().start().await
}

fn hello(world: &Running) -> Vec<u8> {
    let endpoint = world.rds().endpoint();
    startup(V3_0, &[("user", "by_trust"), ("database", DATABASE), ("host", &endpoint)])
}

/// A byte that begins no record, a record of a type that there is not, one too long, and one that is not encrypted.
const GARBAGE: [&[u8]; 4] = [
    b"Q\0\0\0\x0dselect 1\0",
    b"\x63\x03\x03\0\x04beep",
    b"\x17\x03\x03\xff\xff",
    b"\x17\x03\x03\0\x20thirty-two bytes nobody encrypted",
];

#[tokio::test]
async fn bytes_of_an_application_that_are_no_tls_end_its_session_and_no_other() {
    let world = world_with_tls().await;
    for port in [world.client().port(), world.server().port()] {
        let mut bystander = Raw::connect(port).await.request_tls().await;
        bystander.send(&hello(&world)).await;
        bystander.until_ready().await;
        for garbage in GARBAGE {
            for logged_in in [false, true] {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.write_all(SSL_REQUEST).await.unwrap();
                assert_eq!(stream.read_u8().await.unwrap(), b'S');
                let name = ServerName::try_from("localhost").unwrap();
                let mut stream = tls(&[]).connect(name, stream).await.unwrap();
                if logged_in {
                    stream.write_all(&hello(&world)).await.unwrap();
                    let mut said = vec![0; 9];
                    stream.read_exact(&mut said).await.unwrap();
                    assert_eq!(said, LOGIN_OK[..9]);
                }
                let (mut stream, _) = stream.into_inner();
                stream.write_all(garbage).await.unwrap();
                let end = timeout(SOON, stream.read_to_end(&mut Vec::new())).await;
                // Closed or reset, but not left alone.
                end.unwrap_or_else(|_| panic!("{garbage:?} is borne, {logged_in}")).ok();
            }
        }
        assert_eq!(bystander.query("select 'unharmed'").await.unwrap(), "unharmed");
    }
    world.stop().await;
}

#[tokio::test]
async fn bytes_of_a_database_that_are_no_tls_end_the_session_with_an_error() {
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
            let refused = timeout(SOON, raw.refused()).await.expect("it is borne");
            refused.expect("08006", &["rds-auth-proxy: ", "was lost"]);
        }
        world.stop().await;
    }
}

/// TLS 1.2 knows renegotiation, and rustls does not: it declines, and hangs up on who insists.
#[tokio::test]
async fn an_application_that_renegotiates_in_its_session_is_declined() {
    let world = world_with_tls().await;
    for port in [world.client().port(), world.server().port()] {
        let said = renegotiate(port, &hello(&world)).await;
        assert!(said.contains("no renegotiation"), "{said}");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_application_that_renegotiates_before_its_login_is_hung_up_on() {
    let hurried = "proxy: {handshake_timeout: 5s}";
    let world = World::new().with_server_tls().with_client_tls().with_server(hurried).with_client(hurried);
    let world = world.start().await;
    for port in [world.client().port(), world.server().port()] {
        renegotiate(port, b"").await;
    }
    world.stop().await;
}

/// What OpenSSL says of it, after it was hung up on.
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
    let shows = async |text: &str| {
        let shown = async {
            while !stdout.text().contains(text) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let shown = timeout(SOON, shown).await;
        shown.unwrap_or_else(|_| panic!("no {text}: {}{}", stdout.text(), stderr.text()));
    };
    // It reads nothing before, and takes a command for one only at the beginning of what it reads.
    shows("Verify return code: 0").await;
    if !startup.is_empty() {
        stdin.write_all(startup).await.unwrap();
        stdin.flush().await.unwrap();
        shows("server_version").await;
    }
    stdin.write_all(b"R\n").await.unwrap();
    stdin.flush().await.unwrap();
    timeout(SOON, child.wait()).await.expect("it hangs").unwrap();
    for output in [&stdout, &stderr] {
        output.wait_for(SOON, |_| None::<()>).await;
    }
    let said = stdout.text() + &stderr.text();
    assert!(said.contains("Verify return code: 0") && said.contains("RENEGOTIATING"), "{said}");
    said
}

#[tokio::test]
async fn a_database_that_renegotiates_before_the_login_is_given_up() {
    let mut openssl = openssl_server().await;
    let port = openssl.port;
    let fake = FakeDatabase::start(move |mut stream| async move {
        let _ = read_first(&mut stream).await;
        let _ = stream.write_all(b"S").await;
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
    })
    .await;
    let hurried = "proxy: {handshake_timeout: 6s}";
    let world = World::new().with_target("fake", &fake.target("verify-full")).target("fake");
    let world = world.with_server(hurried).with_client(hurried).start().await;
    let direct = world.start_client(&["--direct"]).await;
    for (number, port) in (1..).zip([world.client().port(), direct.port()]) {
        let mut raw = Raw::connect(port).await;
        raw.send(&login("alice")).await;
        // It takes no commands before, and prints this once a handshake.
        openssl.shows("CIPHER is ", number).await;
        openssl.stdin.write_all(b"R\n").await.unwrap();
        openssl.stdin.flush().await.unwrap();
        let refused = timeout(SOON, raw.refused()).await.expect("it is borne");
        refused.expect("08006", &["rds-auth-proxy: "]);
    }
    world.stop().await;
}

/// OpenSSL's server, whose commands are typed.
struct OpensslServer {
    port: u16,
    stdin: ChildStdin,
    stdout: Output,
    _child: Child,
}

impl OpensslServer {
    /// Waits until it has printed this so many times.
    async fn shows(&self, text: &str, times: usize) {
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
    openssl.shows("ACCEPT", 1).await;
    openssl
}

//! A hop that sends invalid bytes, hangs or closes. The application always receives an error with the reason.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::builder::World;
use crate::support::fake_database::{FakeDatabase, LOGIN_OK, acceptor, authentication, read_until_close};
use crate::support::protocol::{read_first, refuse, request_password};
use crate::support::raw::{Raw, Refusal, V3_0, login, message, packet, startup};
use crate::support::roles::DATABASE;
use crate::support::scratch::random_text;
use crate::support::world::Running;

/// A hop that breaks the SCRAM exchange.
mod scram;

const SHORT_TIMEOUTS: &str = "proxy: {handshake_timeout: 2s, connect_timeout: 1s}";

/// Client and server in front of a fake database, with a password.
async fn world_with(fake: &FakeDatabase, mode: &str) -> Running {
    let password = random_text(24);
    let world = World::new()
        .with_target("fake", &fake.target(mode))
        .target("fake")
        .with_client_flag("--password")
        .with_client_flag(&password)
        .start()
        .await;
    world.add_secret(&password);
    world
}

/// The errors of two logins: through client and server, and through a direct client.
async fn refusals(fake: &FakeDatabase, mode: &str) -> Vec<Refusal> {
    let world = world_with(fake, mode).await;
    let mut direct = world.start_client(&["--direct"]).await;
    let mut refusals = Vec::new();
    for port in [world.client().port(), direct.port()] {
        let mut raw = Raw::connect(port).await;
        raw.send(&login("alice")).await;
        refusals.push(raw.refused().await);
    }
    direct.stop().await;
    world.stop().await;
    refusals
}

/// Expects both logins to fail with this SQLSTATE and these texts.
async fn expect(fake: FakeDatabase, mode: &str, sqlstate: &str, texts: &[&str]) {
    for refusal in refusals(&fake, mode).await {
        refusal.expect(sqlstate, texts);
        refusal.expect(sqlstate, &["rds-auth-proxy: ", "the database fake at localhost:"]);
    }
}

#[tokio::test]
async fn an_invalid_answer_to_the_ssl_request_is_refused() {
    let fake = FakeDatabase::closing_after(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
    expect(fake, "require", "08001", &["does not speak PostgreSQL", "0x48"]).await;
}

#[tokio::test]
async fn mode_prefer_sends_no_password_without_tls() {
    let fake = FakeDatabase::closing_after(b"N".to_vec()).await;
    expect(fake, "prefer", "08001", &["has TLS turned off", "disable"]).await;
}

#[tokio::test]
async fn an_unauthenticated_error_before_tls_is_not_forwarded() {
    let error = message(b'E', b"SFATAL\0C57014\0Mrun this command to repair it\0\0");
    for refusal in refusals(&FakeDatabase::closing_after(error).await, "require").await {
        refusal.expect("08001", &["answered with an error before TLS could begin"]);
        assert!(!refusal.message().contains("run this"), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_hop_that_closes_before_or_during_the_tls_handshake_is_reported() {
    expect(
        FakeDatabase::closing_after(Vec::new()).await,
        "require",
        "57P03",
        &["hung up before TLS could begin"],
    )
    .await;
    // During the handshake the error is the one of TLS, with the host name. The unread ClientHello makes it a reset.
    for refusal in refusals(&FakeDatabase::closing_after(b"S".to_vec()).await, "require").await {
        refusal
            .expect("57P03", &["rds-auth-proxy: localhost closed the connection during the TLS handshake"]);
        assert!(refusal.hint().unwrap_or_default().starts_with("The log of "), "{refusal:?}");
    }
}

#[tokio::test]
async fn garbage_in_the_tls_handshake_is_refused() {
    let fake = FakeDatabase::closing_after(b"Sgarbage garbage garbage".to_vec()).await;
    for refusal in refusals(&fake, "require").await {
        refusal.expect("08001", &["rds-auth-proxy: ", "localhost"]);
    }
}

/// CVE-2021-23222 from the database's side: a man in the middle sends bytes before the TLS handshake.
#[tokio::test]
async fn a_login_result_before_the_tls_handshake_is_never_accepted() {
    let acceptor = acceptor();
    let fake = FakeDatabase::start(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let _ = read_first(&mut stream).await;
            let _ = stream.write_all(&[b"S", LOGIN_OK].concat()).await;
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = stream.write_all(LOGIN_OK).await;
            let _ = stream.read_u8().await;
        }
    })
    .await;
    for refusal in refusals(&fake, "verify-full").await {
        refusal.expect("08001", &["rds-auth-proxy: ", "localhost"]);
    }
}

#[tokio::test]
async fn a_hop_that_closes_during_the_login_is_reported() {
    let closed: &[&str] = &["hung up during the login"];
    expect(FakeDatabase::closing_after(Vec::new()).await, "disable", "57P03", closed).await;
    expect(FakeDatabase::closing_after(b"R\0\0".to_vec()).await, "disable", "57P03", closed).await;
}

#[tokio::test]
async fn an_invalid_login_message_is_a_protocol_violation() {
    let broken: &[&str] = &["broke the protocol"];
    for bytes in [message(b'T', &[0; 8]), authentication(5, b"x"), message(b'R', b""), message(b'K', b"abc")]
    {
        expect(FakeDatabase::answering(bytes).await, "disable", "08P01", broken).await;
    }
}

/// A message that forges a log line and moves the cursor if it is printed unescaped.
const FORGERY: &str =
    "no\r\n2030-01-01T00:00:00Z  INFO connection: session began peer=203.0.113.7\u{1b}[2J\u{9b}31m";

#[tokio::test]
async fn line_ends_and_escapes_of_a_refusal_are_escaped_in_the_log() {
    let refusal = format!("SFATAL\0VFATAL\0C28000\0M{FORGERY}\0D{FORGERY}\0H{FORGERY}\0\0");
    let world =
        world_with(&FakeDatabase::answering(message(b'E', refusal.as_bytes())).await, "disable").await;
    let direct = world.start_client(&["--direct"]).await;
    for port in [world.client().port(), direct.port()] {
        let mut raw = Raw::connect(port).await;
        raw.send(&login("alice")).await;
        assert_eq!(raw.refused().await.message(), FORGERY, "the application receives it unchanged");
    }
    for proxy in [world.client(), world.server(), &direct] {
        proxy.wait_for_log("connection refused").await;
        let log = proxy.log();
        let line = log.lines().find(|line| line.contains("connection refused")).unwrap();
        assert!(line.contains(r"no\r\n2030-01-01T00:00:00Z"), "{line}");
        assert!(!log.contains("\n2030-"), "{log}");
        let control = |found: char| found.is_control() && found != '\n';
        assert!(!log.contains(control), "{log:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn invalid_length_words_are_refused() {
    for length in [0_u32, 3, 70_000, 1 << 31, u32::MAX] {
        let bytes = [b"R".as_slice(), &length.to_be_bytes()].concat();
        expect(FakeDatabase::answering(bytes).await, "disable", "08P01", &["broke the protocol"]).await;
    }
}

#[tokio::test]
async fn endless_notices_end_the_login_and_take_no_memory() {
    let notice = message(b'N', &[b"SNOTICE\0C00000\0M".as_slice(), &vec![b'x'; 60_000], b"\0\0"].concat());
    let fake = FakeDatabase::start(move |mut stream| {
        let notice = notice.clone();
        async move {
            let _ = read_first(&mut stream).await;
            while stream.write_all(&notice).await.is_ok() {}
        }
    })
    .await;
    let world = world_with(&fake, "disable").await;
    let mut direct = world.start_client(&["--direct"]).await;
    for port in [world.client().port(), direct.port()] {
        let mut raw = Raw::connect(port).await;
        raw.send(&login("alice")).await;
        raw.refused().await.expect("08P01", &["sent more than", "without finishing the login"]);
    }
    for proxy in [world.client(), world.server(), &direct] {
        if let Some(kilobytes) = proxy.peak_memory() {
            assert!(kilobytes < 90_000, "the {} took {kilobytes} kB", proxy.name);
        }
    }
    direct.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn a_silent_hop_fails_the_login_after_four_times_handshake_timeout() {
    let fake = FakeDatabase::start(|mut stream| async move { read_until_close(&mut stream).await }).await;
    for mode in ["require", "disable"] {
        let world = World::new()
            .with_target("fake", &fake.target(mode))
            .target("fake")
            .with_server(SHORT_TIMEOUTS)
            .start()
            .await;
        let began = Instant::now();
        let mut raw = Raw::connect(world.client().port()).await;
        raw.send(&login("alice")).await;
        raw.refused().await.expect("57P03", &["rds-auth-proxy: time ran out after 7.8 s while", "paused"]);
        // Four times handshake_timeout; the client itself would wait for 60 s.
        assert!(began.elapsed() < Duration::from_secs(12));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_hop_that_only_sends_notices_has_no_more_time() {
    let fake = FakeDatabase::start(|mut stream| async move {
        let _ = read_first(&mut stream).await;
        let notice = message(b'N', b"SNOTICE\0Mpatience\0\0");
        while stream.write_all(&notice).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let world = World::new()
        .with_target("fake", &fake.target("disable"))
        .target("fake")
        .with_server(SHORT_TIMEOUTS)
        .start()
        .await;
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("alice")).await;
    raw.refused().await.expect("57P03", &["time ran out after 7.8 s while waiting for the database fake"]);
    world.stop().await;
}

#[tokio::test]
async fn a_hop_that_drops_connection_attempts_fails_after_connect_timeout() {
    // A listener with a full queue drops new connections, as a firewall does.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        queued.push(stream);
    }
    let target = format!("{{host: '{address}', ssl: {{mode: disable}}}}");
    let world = World::new()
        .with_target("full", &target)
        .target("full")
        .with_server("proxy: {connect_timeout: 1s}")
        .start()
        .await;
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("alice")).await;
    raw.refused()
        .await
        .expect("57P03", &["the database full at 127.0.0.1:", "cannot be reached", "no answer within 1.0 s"]);
    world.stop().await;
}

#[tokio::test]
async fn a_hop_without_a_listener_is_reported() {
    let fake = FakeDatabase { port: crate::support::ports::free_port() };
    expect(fake, "disable", "57P03", &["cannot be reached", "refused"]).await;
}

#[tokio::test]
async fn the_error_names_an_unsupported_login_method() {
    let gss = FakeDatabase::answering(authentication(7, b"")).await;
    expect(gss, "disable", "0A000", &["login method number 7", "GSSAPI"]).await;
    let sasl = FakeDatabase::answering(authentication(10, b"OAUTHBEARER\0SCRAM-SHA-256-PLUS\0\0")).await;
    expect(sasl, "disable", "0A000", &["OAUTHBEARER, SCRAM-SHA-256-PLUS", "none of which"]).await;
}

#[tokio::test]
async fn the_refusal_of_a_hop_passes_unchanged() {
    let fake = FakeDatabase::start(|mut stream| async move {
        let _ = read_first(&mut stream).await;
        if request_password(&mut stream).await.is_ok() {
            let _ = refuse(&mut stream, "3D000", "database \"app\" does not exist").await;
        }
        read_until_close(&mut stream).await;
    })
    .await;
    for refusal in refusals(&fake, "disable").await {
        assert_eq!((refusal.sqlstate(), refusal.message()), ("3D000", "database \"app\" does not exist"));
    }
}

#[tokio::test]
async fn a_lying_hop_does_not_harm_a_server_without_a_client() {
    let fake =
        FakeDatabase::answering([authentication(0, b""), message(b'Z', b"I"), packet(b"nonsense")].concat())
            .await;
    let world = world_with(&fake, "disable").await;
    let host = format!("localhost:{}", fake.port);
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&startup(V3_0, &[("user", "alice"), ("database", DATABASE), ("host", &host)])).await;
    raw.until_ready().await;
    drop(raw);
    let endpoint = world.rds().endpoint();
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&startup(V3_0, &[("user", "by_trust"), ("database", DATABASE), ("host", &endpoint)])).await;
    raw.until_ready().await;
    drop(raw);
    world.stop().await;
}

//! A next hop that lies, hangs or breaks. The application always reads an error that says so.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::builder::World;
use crate::support::fake_database::{FakeDatabase, LOGIN_OK, acceptor, authentication, read_until_close};
use crate::support::protocol::{read_first, refuse, request_password};
use crate::support::raw::{Raw, Refusal, V3_0, login, message, packet, startup};
use crate::support::roles::DATABASE;
use crate::support::scratch::random_text;
use crate::support::world::Running;

const HURRIED: &str = "proxy: {handshake_timeout: 2s, connect_timeout: 1s}";

/// Client and server before a database that is none, with a password to log in with.
async fn world_before(fake: &FakeDatabase, mode: &str) -> Running {
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

/// What an application reads that logs in through client and server, and one whose client goes straight.
async fn refusals(fake: &FakeDatabase, mode: &str) -> Vec<Refusal> {
    let world = world_before(fake, mode).await;
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

async fn expect(fake: FakeDatabase, mode: &str, sqlstate: &str, texts: &[&str]) {
    for refusal in refusals(&fake, mode).await {
        refusal.expect(sqlstate, texts);
        refusal.expect(sqlstate, &["rds-auth-proxy: ", "the database fake at localhost:"]);
    }
}

#[tokio::test]
async fn a_nonsensical_answer_to_the_ssl_request() {
    let fake = FakeDatabase::closing_after(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
    expect(fake, "require", "08001", &["does not speak PostgreSQL", "0x48"]).await;
}

#[tokio::test]
async fn no_tls_where_a_password_has_to_be_sent() {
    let fake = FakeDatabase::closing_after(b"N".to_vec()).await;
    expect(fake, "prefer", "08001", &["has TLS turned off", "disable"]).await;
}

#[tokio::test]
async fn an_error_before_tls_is_not_shown_since_anybody_could_have_written_it() {
    let error = message(b'E', b"SFATAL\0C57014\0Mrun this command to repair it\0\0");
    for refusal in refusals(&FakeDatabase::closing_after(error).await, "require").await {
        refusal.expect("08001", &["answered with an error before TLS could begin"]);
        assert!(!refusal.message().contains("run this"), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_hang_up_instead_of_tls() {
    expect(
        FakeDatabase::closing_after(Vec::new()).await,
        "require",
        "08001",
        &["hung up before TLS could begin"],
    )
    .await;
    // In the middle of the handshake TLS knows the reason, and the name stands in it.
    for refusal in refusals(&FakeDatabase::closing_after(b"S".to_vec()).await, "require").await {
        refusal.expect("08001", &["rds-auth-proxy: ", "localhost"]);
    }
}

#[tokio::test]
async fn garbage_instead_of_tls() {
    let fake = FakeDatabase::closing_after(b"Sgarbage garbage garbage".to_vec()).await;
    for refusal in refusals(&fake, "require").await {
        refusal.expect("08001", &["rds-auth-proxy: ", "localhost"]);
    }
}

/// CVE-2021-23222, from the database's side: a man in the middle who speaks before TLS does.
#[tokio::test]
async fn a_welcome_in_clear_before_tls_is_never_taken_for_an_encrypted_one() {
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
async fn a_hang_up_during_the_login() {
    let gone: &[&str] = &["hung up during the login"];
    expect(FakeDatabase::closing_after(Vec::new()).await, "disable", "08006", gone).await;
    expect(FakeDatabase::closing_after(b"R\0\0".to_vec()).await, "disable", "08006", gone).await;
}

#[tokio::test]
async fn nonsense_instead_of_a_login_message() {
    let broken: &[&str] = &["broke the protocol"];
    for bytes in [message(b'T', &[0; 8]), authentication(5, b"x"), message(b'R', b""), message(b'K', b"abc")]
    {
        expect(FakeDatabase::answering(bytes).await, "disable", "08P01", broken).await;
    }
}

/// A message that would be a line of a log, and moves the cursor, if it were printed as it is.
const FORGERY: &str =
    "no\r\n2030-01-01T00:00:00Z  INFO connection: session began peer=203.0.113.7\u{1b}[2J\u{9b}31m";

#[tokio::test]
async fn a_refusal_with_line_ends_and_escapes_adds_no_line_to_a_log() {
    let refusal = format!("SFATAL\0VFATAL\0C28000\0M{FORGERY}\0D{FORGERY}\0H{FORGERY}\0\0");
    let world =
        world_before(&FakeDatabase::answering(message(b'E', refusal.as_bytes())).await, "disable").await;
    let direct = world.start_client(&["--direct"]).await;
    for port in [world.client().port(), direct.port()] {
        let mut raw = Raw::connect(port).await;
        raw.send(&login("alice")).await;
        assert_eq!(raw.refused().await.message(), FORGERY, "the application reads it word for word");
    }
    for proxy in [world.client(), world.server(), &direct] {
        proxy.wait_for_log("connection refused").await;
        let log = proxy.log();
        let line = log.lines().find(|line| line.contains("connection refused")).unwrap();
        assert!(line.contains(r"no\r\n2030-01-01T00:00:00Z"), "{line}");
        assert!(!log.contains("\n2030-"), "{log}");
        let command = |found: char| found.is_control() && found != '\n';
        assert!(!log.contains(command), "{log:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn length_words_that_promise_too_much_or_too_little() {
    for length in [0_u32, 3, 70_000, 1 << 31, u32::MAX] {
        let bytes = [b"R".as_slice(), &length.to_be_bytes()].concat();
        expect(FakeDatabase::answering(bytes).await, "disable", "08P01", &["broke the protocol"]).await;
    }
}

#[tokio::test]
async fn notices_without_end_are_not_heard_out_and_take_no_memory() {
    let notice = message(b'N', &[b"SNOTICE\0C00000\0M".as_slice(), &vec![b'x'; 60_000], b"\0\0"].concat());
    let fake = FakeDatabase::start(move |mut stream| {
        let notice = notice.clone();
        async move {
            let _ = read_first(&mut stream).await;
            while stream.write_all(&notice).await.is_ok() {}
        }
    })
    .await;
    let world = world_before(&fake, "disable").await;
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
async fn a_hop_that_hangs_is_given_up_after_handshake_timeout() {
    let fake = FakeDatabase::start(|mut stream| async move { read_until_close(&mut stream).await }).await;
    for mode in ["require", "disable"] {
        let world = World::new()
            .with_target("fake", &fake.target(mode))
            .target("fake")
            .with_server(HURRIED)
            .start()
            .await;
        let began = Instant::now();
        let mut raw = Raw::connect(world.client().port()).await;
        raw.send(&login("alice")).await;
        raw.refused().await.expect("08006", &["rds-auth-proxy: time ran out after 2 s while"]);
        // The client itself would wait for 15 s.
        assert!(began.elapsed() < Duration::from_secs(12));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_hop_that_says_half_a_word_every_moment_is_given_up_as_well() {
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
        .with_server(HURRIED)
        .start()
        .await;
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&login("alice")).await;
    raw.refused().await.expect("08006", &["time ran out after 2 s while waiting for the database"]);
    world.stop().await;
}

#[tokio::test]
async fn a_hop_that_swallows_connections_is_given_up_after_connect_timeout() {
    // A listener whose queue is full drops what comes next, as a firewall does.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
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
        .expect("08001", &["the database full at 127.0.0.1:", "cannot be reached", "no answer within 1.0 s"]);
    world.stop().await;
}

#[tokio::test]
async fn a_hop_that_nobody_listens_as() {
    let fake = FakeDatabase { port: crate::support::ports::free_port() };
    expect(fake, "disable", "08001", &["cannot be reached", "refused"]).await;
}

#[tokio::test]
async fn four_billion_scram_iterations_are_not_computed() {
    let began = Instant::now();
    let fake = scram_server(|nonce| format!("r={nonce}x,s=c2FsdA==,i=4294967295"), None).await;
    expect(fake, "disable", "28P01", &["SCRAM", "unreasonable number of SCRAM iterations"]).await;
    // They would take hours.
    assert!(began.elapsed() < Duration::from_mins(2));
}

#[tokio::test]
async fn a_welcome_without_proof_of_the_password_is_no_welcome() {
    let fake =
        scram_server(|nonce| format!("r={nonce}x,s=c2FsdA==,i=4096"), Some(authentication(0, b""))).await;
    expect(fake, "disable", "28P01", &["SCRAM", "without proving that it knows the password"]).await;
}

#[tokio::test]
async fn a_wrong_proof_of_the_password_is_refused() {
    let proof = authentication(12, b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let fake = scram_server(|nonce| format!("r={nonce}x,s=c2FsdA==,i=4096"), Some(proof)).await;
    expect(fake, "disable", "28P01", &["the SCRAM login at the database"]).await;
}

#[tokio::test]
async fn a_nonce_that_is_not_ours_is_refused() {
    let fake = scram_server(|_| "r=elsewhere,s=c2FsdA==,i=4096".into(), None).await;
    expect(fake, "disable", "28P01", &["the SCRAM login at the database"]).await;
}

#[tokio::test]
async fn a_scram_exchange_that_never_began_cannot_go_on() {
    for code in [11, 12] {
        let fake = FakeDatabase::answering(authentication(code, b"r=x,s=c2FsdA==,i=4096")).await;
        expect(fake, "disable", "08P01", &["continued a SASL exchange that never began"]).await;
    }
}

#[tokio::test]
async fn login_methods_that_cannot_pass_are_named() {
    let gss = FakeDatabase::answering(authentication(7, b"")).await;
    expect(gss, "disable", "0A000", &["login method number 7", "GSSAPI"]).await;
    let sasl = FakeDatabase::answering(authentication(10, b"OAUTHBEARER\0SCRAM-SHA-256-PLUS\0\0")).await;
    expect(sasl, "disable", "0A000", &["OAUTHBEARER, SCRAM-SHA-256-PLUS", "none of which"]).await;
}

#[tokio::test]
async fn the_refusal_of_a_hop_is_passed_on_word_for_word() {
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
async fn a_hop_that_lies_cannot_hurt_a_server_that_is_asked_directly() {
    let fake =
        FakeDatabase::answering([authentication(0, b""), message(b'Z', b"I"), packet(b"nonsense")].concat())
            .await;
    let world = world_before(&fake, "disable").await;
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

/// Begins SCRAM, sends the first message that `first` makes of the client's nonce, and after the client's proof `last`.
async fn scram_server(first: fn(&str) -> String, last: Option<Vec<u8>>) -> FakeDatabase {
    FakeDatabase::start(move |mut stream| {
        let last = last.clone();
        async move {
            let _ = read_first(&mut stream).await;
            let _ = stream.write_all(&authentication(10, b"SCRAM-SHA-256\0\0")).await;
            let Some(initial) = read_sasl(&mut stream).await else { return };
            // `n,,n=,r=` and the nonce, in which `r=` may occur by chance (RFC 5802, section 7).
            let (_, nonce) = initial.split_once(",r=").unwrap_or_default();
            let _ = stream.write_all(&authentication(11, first(nonce).as_bytes())).await;
            if let (Some(last), Some(_)) = (last, read_sasl(&mut stream).await) {
                let _ = stream.write_all(&last).await;
            }
            read_until_close(&mut stream).await;
        }
    })
    .await
}

async fn read_sasl(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let _tag = stream.read_u8().await.ok()?;
    let length = stream.read_u32().await.ok()? as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.ok()?;
    Some(String::from_utf8_lossy(&body).into_owned())
}

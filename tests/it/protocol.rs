//! What breaks naive implementations of the protocol, at both doors: an application's at the client, a client's at
//! the server.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

use crate::support::builder::World;
use crate::support::raw::{
    GSSENC_REQUEST, Raw, SSL_REQUEST, V3_0, login, message, packet, query, startup, tls,
};
use crate::support::roles::DATABASE;
use crate::support::world::Running;

/// Client and server, each with TLS towards those who connect.
async fn world_with_tls() -> Running {
    World::new().with_server_tls().with_client_tls().start().await
}

fn doors(world: &Running) -> [u16; 2] {
    [world.client().port(), world.server().port()]
}

/// A startup packet that both doors take: the client replaces the host, the server needs it.
fn hello(world: &Running, version: u32, extra: &[(&str, &str)]) -> Vec<u8> {
    let endpoint = world.rds().endpoint();
    let usual = [("user", "by_trust"), ("database", DATABASE), ("host", endpoint.as_str())];
    startup(version, &[usual.as_slice(), extra].concat())
}

/// Logs in and runs a query.
async fn expect_service(raw: &mut Raw, world: &Running) {
    raw.send(&hello(world, V3_0, &[])).await;
    raw.until_ready().await;
    expect_answer(raw).await;
}

async fn expect_answer(raw: &mut Raw) {
    raw.send(&query("select 'served'")).await;
    assert_eq!(raw.until_ready().await[1].column(), "served");
}

#[tokio::test]
async fn a_second_ssl_request_is_refused() {
    let world = World::new().start().await;
    for port in doors(&world) {
        let mut raw = Raw::connect(port).await;
        raw.send(SSL_REQUEST).await;
        assert_eq!(raw.byte().await, Some(b'N'));
        raw.send(SSL_REQUEST).await;
        raw.refused().await.expect("08P01", &["rds-auth-proxy: ", "SSLRequest twice"]);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_request_for_encryption_inside_tls_is_refused() {
    let world = world_with_tls().await;
    for port in doors(&world) {
        for request in [SSL_REQUEST, GSSENC_REQUEST] {
            let mut raw = Raw::connect(port).await.request_tls().await;
            raw.send(request).await;
            raw.refused().await.expect("08P01", &["inside encryption"]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn gssapi_encryption_is_declined_and_tls_may_be_asked_for_next() {
    let world = world_with_tls().await;
    for port in doors(&world) {
        let mut raw = Raw::connect(port).await;
        raw.send(GSSENC_REQUEST).await;
        assert_eq!(raw.byte().await, Some(b'N'));
        expect_service(&mut raw.request_tls().await, &world).await;

        let mut raw = Raw::connect(port).await;
        for _ in 0..2 {
            raw.send(GSSENC_REQUEST).await;
        }
        assert_eq!(raw.byte().await, Some(b'N'));
        raw.refused().await.expect("08P01", &["GSSENCRequest twice"]);
    }
    world.stop().await;
}

#[tokio::test]
async fn bytes_in_clear_behind_an_ssl_request_are_never_taken_for_encrypted_ones() {
    let world = world_with_tls().await;
    for port in doors(&world) {
        let injected = [hello(&world, V3_0, &[]), query("create table injected ()")].concat();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(&[SSL_REQUEST, &injected].concat()).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'S');
        // With a good TLS handshake behind them, as from a man in the middle who got there first.
        assert!(Raw::over(stream).encrypt(&tls(&[])).await.is_err());
    }
    assert_eq!(world.rds().connections(), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_client_hello_right_behind_the_ssl_request_is_served() {
    let world = world_with_tls().await;
    for port in doors(&world) {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(send_hello_behind_request(far, stream));
        expect_service(&mut Raw::over(near).encrypt(&tls(&[])).await.unwrap(), &world).await;
    }
    world.stop().await;
}

/// Puts an `SSLRequest` before the first bytes of a TLS session, in one segment, and takes the answer away.
async fn send_hello_behind_request(mut session: DuplexStream, mut stream: TcpStream) {
    let mut hello = vec![0; 16 * 1024];
    let length = session.read(&mut hello).await.unwrap();
    stream.write_all(&[SSL_REQUEST, &hello[..length]].concat()).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'S');
    let _ = tokio::io::copy_bidirectional(&mut session, &mut stream).await;
}

#[tokio::test]
async fn tls_without_asking_is_served_to_who_names_the_protocol() {
    let world = world_with_tls().await;
    for port in doors(&world) {
        let good = tls(&[b"postgresql"]);
        let mut raw = Raw::connect(port).await.encrypt(&good).await.unwrap();
        expect_service(&mut raw, &world).await;

        let wrong = tls(&[b"http/1.1"]);
        let mut raw = match Raw::connect(port).await.encrypt(&wrong).await {
            Err(error) => {
                assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
                Raw::connect(port).await.encrypt(&tls(&[])).await.unwrap()
            }
            Ok(_) => panic!("a session for another protocol was begun"),
        };
        raw.refused().await.expect("08P01", &["without offering the protocol \"postgresql\" by ALPN"]);
    }
    world.stop().await;
}

#[tokio::test]
async fn tls_is_refused_where_it_is_off() {
    let world = World::new().start().await;
    for port in doors(&world) {
        assert!(Raw::connect(port).await.encrypt(&tls(&[b"postgresql"])).await.is_err());
        let mut raw = Raw::connect(port).await;
        raw.send(SSL_REQUEST).await;
        assert_eq!(raw.byte().await, Some(b'N'));
        expect_service(&mut raw, &world).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_startup_length_that_cannot_be_is_refused_in_a_sentence() {
    let world = World::new().start().await;
    let http = u32::from_be_bytes(*b"GET ");
    for port in doors(&world) {
        for length in [0_u32, 1, 3, 4, 7, 10_005, http, 1 << 31, u32::MAX] {
            let mut raw = Raw::connect(port).await;
            raw.send(&length.to_be_bytes()).await;
            let refusal = raw.refused().await;
            refusal.expect("08P01", &["rds-auth-proxy: the application broke the protocol"]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_startup_packet_that_is_too_long_is_refused_in_a_sentence() {
    let world = World::new().start().await;
    for port in doors(&world) {
        let mut raw = Raw::connect(port).await;
        raw.send(&hello(&world, V3_0, &[("application_name", &"x".repeat(10_000))])).await;
        raw.refused().await.expect("08P01", &["too long startup parameters"]);
    }
    // Good by itself, but there is no room left for the token.
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&hello(&world, V3_0, &[("application_name", &"x".repeat(9_800))])).await;
    raw.refused().await.expect("08P01", &["the startup packet cannot be sent on", "10"]);
    world.stop().await;
}

#[tokio::test]
async fn a_startup_packet_cut_off_anywhere_harms_nobody() {
    let world = World::new().start().await;
    let whole = hello(&world, V3_0, &[]);
    for port in doors(&world) {
        for length in 0..whole.len() {
            let mut raw = Raw::connect(port).await;
            raw.send(&whole[..length]).await;
            raw.close_write().await;
            assert_eq!(raw.rest().await, b"", "after {length} bytes");
        }
    }
    assert_eq!(world.rds().connections(), 0);
    expect_service(&mut Raw::connect(world.client().port()).await, &world).await;
    world.stop().await;
}

#[tokio::test]
async fn a_malformed_startup_packet_is_refused_in_a_sentence() {
    let world = World::new().start().await;
    let version = V3_0.to_be_bytes();
    let parameters: &[&[u8]] = &[
        b"",
        b"user",
        b"user\0",
        b"user\0a",
        b"user\0a\0",
        b"user\0a\0\0x",
        b"\0\0",
        b"user\0a\0database\0\0",
    ];
    for port in doors(&world) {
        for list in parameters {
            let mut raw = Raw::connect(port).await;
            raw.send(&packet(&[version.as_slice(), list].concat())).await;
            raw.refused().await.expect("08P01", &["rds-auth-proxy: the application broke the protocol"]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_startup_packet_without_a_user_is_refused_in_a_sentence() {
    let world = World::new().start().await;
    let mut raw = Raw::connect(world.client().port()).await;
    raw.send(&startup(V3_0, &[("database", DATABASE)])).await;
    raw.refused().await.expect("28000", &["no \"user\""]);
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&login("by_trust")).await;
    raw.refused().await.expect("28000", &["no \"host\"", "rds-auth-proxy client"]);
    world.stop().await;
}

#[tokio::test]
async fn other_major_versions_are_refused_in_a_sentence() {
    let world = World::new().start().await;
    for port in doors(&world) {
        for version in [0x1_0000, 0x2_0000, 0x4_0000, 0xffff_ffff] {
            let mut raw = Raw::connect(port).await;
            raw.send(&hello(&world, version, &[])).await;
            raw.refused().await.expect("0A000", &["rds-auth-proxy: ", "3."]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn newer_minor_versions_and_extensions_are_negotiated_with_the_database() {
    let world = World::new().start().await;
    let extension: &[(&str, &str)] = &[("_pq_.weather", "rain")];
    let cases = [(V3_0 + 2, &[][..], ""), (V3_0 + 9999, &[], ""), (V3_0, extension, "_pq_.weather")];
    for port in doors(&world) {
        for (version, extra, unknown) in cases {
            let mut raw = Raw::connect(port).await;
            raw.send(&hello(&world, version, extra)).await;
            let messages = raw.until_ready().await;
            let place = |tag| messages.iter().position(|message| message.tag == tag);
            // PostgreSQL 18 knows 3.2 and has nothing to negotiate about.
            if let Some(negotiated) = place(b'v') {
                assert!(negotiated < place(b'R').unwrap(), "it came after the login");
                let body = String::from_utf8_lossy(&messages[negotiated].body).into_owned();
                assert!(body.contains(unknown), "{body:?}");
            } else {
                assert_eq!(version, V3_0 + 2, "nothing was negotiated");
            }
            expect_answer(&mut raw).await;
        }
    }
    let logins = world.rds().logins();
    let extended = logins.iter().filter(|login| login.find("_pq_.weather") == Some("rain"));
    assert_eq!(extended.count(), 2, "an extension was not passed on");
    world.stop().await;
}

#[tokio::test]
async fn who_hangs_up_before_a_word_is_no_event() {
    let world = world_with_tls().await;
    for port in doors(&world) {
        drop(Raw::connect(port).await);
        let mut raw = Raw::connect(port).await;
        raw.send(SSL_REQUEST).await;
        assert_eq!(raw.byte().await, Some(b'S'));
        drop(raw);
        let mut polite = Raw::connect(port).await;
        polite.close_write().await;
        assert_eq!(polite.rest().await, b"");
    }
    world.client().wait_for_log("hung up without a startup packet").await;
    world.server().wait_for_log("hung up without a startup packet").await;
    assert!(!world.server().log().contains("connection failed"));
    world.stop().await;
}

#[tokio::test]
async fn the_last_of_two_hosts_or_passwords_counts_and_the_database_sees_none() {
    let world = World::new().start().await;
    let endpoint = world.rds().endpoint();
    let password = world.postgres.password("by_password");
    world.add_secret("not the password");
    let twice = [
        ("host", "localhost:1"),
        ("user", "by_password"),
        ("password", "not the password"),
        ("database", DATABASE),
        ("host", &endpoint),
        ("password", &password),
    ];
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&startup(V3_0, &twice)).await;
    raw.until_ready().await;
    let logins = world.rds().logins();
    let names: Vec<_> = logins[0].parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["user", "database"]);
    drop(raw);
    world.stop().await;
}

#[tokio::test]
async fn a_query_right_behind_the_startup_packet_is_run_after_the_login() {
    let world = World::new().start().await;
    for port in doors(&world) {
        let mut raw = Raw::connect(port).await;
        raw.send(&[hello(&world, V3_0, &[]), query("select 'early'")].concat()).await;
        raw.until_ready().await;
        assert_eq!(raw.until_ready().await[1].column(), "early");
    }
    world.stop().await;
}

#[tokio::test]
async fn anything_but_a_password_is_refused_where_one_is_asked_for() {
    let world = World::new()
        .with_target("plain", "{host: <postgres>, ssl: {mode: disable}}")
        .target("plain")
        .start()
        .await;
    let endpoint = format!("localhost:{}", world.postgres.port);
    let asker = [("user", "by_password"), ("database", DATABASE), ("host", endpoint.as_str())];
    let mut answers = vec![query("select 1"), message(b'p', &vec![0; 70_000]), vec![0xff; 64]];
    for length in [0_u32, 3, 1 << 31, u32::MAX] {
        answers.push([b"p".as_slice(), &length.to_be_bytes()].concat());
    }
    for port in doors(&world) {
        for answer in &answers {
            let mut raw = Raw::connect(port).await;
            raw.send(&startup(V3_0, &asker)).await;
            assert_eq!(raw.message().await.unwrap().body, [0, 0, 0, 3]);
            let _ = raw.try_send(answer).await;
            raw.refused().await.expect("08P01", &["rds-auth-proxy: the application broke the protocol"]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_startup_packet_may_come_byte_by_byte() {
    let world = World::new().start().await;
    let mut raw = Raw::connect(world.client().port()).await;
    for byte in hello(&world, V3_0, &[]) {
        raw.send(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    raw.until_ready().await;
    drop(raw);
    world.stop().await;
}

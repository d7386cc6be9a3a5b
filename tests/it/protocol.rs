//! Protocol violations, and rare but valid uses of the protocol: by an application at the client, and by a client at
//! the server.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

use crate::support::builder::World;
use crate::support::raw::{GSSENC_REQUEST, Raw, SSL_REQUEST, V3_0, message, query, startup, tls};
use crate::support::roles::DATABASE;
use crate::support::world::Running;

/// Invalid and unusual startup packets.
mod startup_packet;

/// Client and server, each with TLS on its listener.
async fn world_with_tls() -> Running {
    World::new().with_server_tls().with_client_tls().start().await
}

/// The ports of client and server.
fn ports(world: &Running) -> [u16; 2] {
    [world.client().port(), world.server().port()]
}

/// A startup packet for both ports: the client replaces the host, the server needs it.
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
    for port in ports(&world) {
        let mut raw = Raw::connect(port).await;
        raw.send(SSL_REQUEST).await;
        assert_eq!(raw.byte().await, Some(b'N'));
        raw.send(SSL_REQUEST).await;
        raw.refused().await.expect("08P01", &["rds-auth-proxy: ", "SSLRequest twice"]);
    }
    world.stop().await;
}

#[tokio::test]
async fn an_encryption_request_inside_tls_is_refused() {
    let world = world_with_tls().await;
    for port in ports(&world) {
        for request in [SSL_REQUEST, GSSENC_REQUEST] {
            let mut raw = Raw::connect(port).await.request_tls().await;
            raw.send(request).await;
            raw.refused().await.expect("08P01", &["inside encryption"]);
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn gssapi_encryption_is_declined_and_tls_may_follow() {
    let world = world_with_tls().await;
    for port in ports(&world) {
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
async fn cleartext_bytes_after_an_ssl_request_are_never_accepted_as_encrypted() {
    let world = world_with_tls().await;
    for port in ports(&world) {
        let injected = [hello(&world, V3_0, &[]), query("create table injected ()")].concat();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(&[SSL_REQUEST, &injected].concat()).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'S');
        // A valid TLS handshake follows, as if a man in the middle had injected the bytes.
        assert!(Raw::over(stream).encrypt(&tls(&[])).await.is_err());
    }
    assert_eq!(world.rds().connections(), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_client_hello_pipelined_after_the_ssl_request_is_accepted() {
    let world = world_with_tls().await;
    for port in ports(&world) {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(send_hello_behind_request(far, stream));
        expect_service(&mut Raw::over(near).encrypt(&tls(&[])).await.unwrap(), &world).await;
    }
    world.stop().await;
}

/// Sends an `SSLRequest` and the first bytes of a TLS session in one segment, and removes the answer.
async fn send_hello_behind_request(mut session: DuplexStream, mut stream: TcpStream) {
    let mut hello = vec![0; 16 * 1024];
    let length = session.read(&mut hello).await.unwrap();
    stream.write_all(&[SSL_REQUEST, &hello[..length]].concat()).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'S');
    let _ = tokio::io::copy_bidirectional(&mut session, &mut stream).await;
}

#[tokio::test]
async fn direct_tls_requires_the_alpn_name() {
    let world = world_with_tls().await;
    for port in ports(&world) {
        let good = tls(&[b"postgresql"]);
        let mut raw = Raw::connect(port).await.encrypt(&good).await.unwrap();
        expect_service(&mut raw, &world).await;

        let wrong = tls(&[b"http/1.1"]);
        let mut raw = match Raw::connect(port).await.encrypt(&wrong).await {
            Err(error) => {
                assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
                Raw::connect(port).await.encrypt(&tls(&[])).await.unwrap()
            }
            Ok(_) => panic!("TLS with another ALPN name succeeds"),
        };
        raw.refused().await.expect("08P01", &["without offering the protocol \"postgresql\" by ALPN"]);
    }
    world.stop().await;
}

#[tokio::test]
async fn tls_is_declined_if_it_is_off() {
    let world = World::new().start().await;
    for port in ports(&world) {
        assert!(Raw::connect(port).await.encrypt(&tls(&[b"postgresql"])).await.is_err());
        let mut raw = Raw::connect(port).await;
        raw.send(SSL_REQUEST).await;
        assert_eq!(raw.byte().await, Some(b'N'));
        expect_service(&mut raw, &world).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_connection_that_closes_before_its_startup_packet_is_no_failure() {
    let world = world_with_tls().await;
    for port in ports(&world) {
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
async fn a_query_pipelined_after_the_startup_packet_runs_after_the_login() {
    let world = World::new().start().await;
    for port in ports(&world) {
        let mut raw = Raw::connect(port).await;
        raw.send(&[hello(&world, V3_0, &[]), query("select 'early'")].concat()).await;
        raw.until_ready().await;
        assert_eq!(raw.until_ready().await[1].column(), "early");
    }
    world.stop().await;
}

#[tokio::test]
async fn another_message_than_the_requested_password_is_refused() {
    let world = World::new()
        .with_target("plain", "{host: <postgres>, ssl: {mode: disable}}")
        .target("plain")
        .start()
        .await;
    let endpoint = format!("localhost:{}", world.postgres.port);
    let parameters = [("user", "by_password"), ("database", DATABASE), ("host", endpoint.as_str())];
    let mut answers = vec![query("select 1"), message(b'p', &vec![0; 70_000]), vec![0xff; 64]];
    for length in [0_u32, 3, 1 << 31, u32::MAX] {
        answers.push([b"p".as_slice(), &length.to_be_bytes()].concat());
    }
    for port in ports(&world) {
        for answer in &answers {
            let mut raw = Raw::connect(port).await;
            raw.send(&startup(V3_0, &parameters)).await;
            assert_eq!(raw.message().await.unwrap().body, [0, 0, 0, 3]);
            let _ = raw.try_send(answer).await;
            raw.refused().await.expect("08P01", &["rds-auth-proxy: the application broke the protocol"]);
        }
    }
    world.stop().await;
}

/// `HAProxy` and AWS load balancers send it where it is turned on: version 1 is text, version 2 begins with a signature.
#[tokio::test]
async fn a_proxy_protocol_header_is_named() {
    let world = World::new().start().await;
    for header in
        [&b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 5432\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"]
    {
        let mut raw = Raw::connect(world.server().port()).await;
        raw.send(header).await;
        raw.refused().await.expect("08P01", &["PROXY protocol header", "load balancer"]);
    }
    world.stop().await;
}

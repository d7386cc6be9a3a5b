//! Peers that close in the middle of a packet, after each byte of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::builder::World;
use crate::support::fake_database::{FakeDatabase, LOGIN_OK};
use crate::support::protocol::read_first;
use crate::support::raw::{GSSENC_REQUEST, Raw, SSL_REQUEST, V3_0, login, message, packet, startup, tls};
use crate::support::roles::DATABASE;

#[tokio::test]
async fn a_login_cut_off_by_the_database_fails_with_an_error() {
    let answer = [
        message(b'N', b"SNOTICE\0C00000\0Mwelcome\0\0"),
        message(b'v', b"\0\x03\0\0\0\0\0\0"),
        LOGIN_OK[..9].to_vec(),
        message(b'S', b"server_version\x0018.0\0"),
        message(b'K', b"\0\0\0\x01swordfish"),
        LOGIN_OK[9..].to_vec(),
    ]
    .concat();
    let length = Arc::new(AtomicUsize::new(0));
    let (whole, cut) = (answer.clone(), Arc::clone(&length));
    let fake = FakeDatabase::start(move |mut stream| {
        let part = whole[..cut.load(Ordering::SeqCst)].to_vec();
        async move {
            let _ = read_first(&mut stream).await;
            let _ = stream.write_all(&part).await;
        }
    })
    .await;
    let world = World::new().with_target("fake", &fake.target("disable")).target("fake").start().await;
    let direct = world.start_client(&["--direct"]).await;
    for port in [world.client().port(), direct.port()] {
        for cut in 0..answer.len() {
            length.store(cut, Ordering::SeqCst);
            let mut raw = Raw::connect(port).await;
            raw.send(&login("alice")).await;
            let refusal = raw.ready().await.expect_err("the login succeeds");
            let texts = [
                "rds-auth-proxy: ",
                "hung up during the login",
                "The log of the database fake at localhost:",
            ];
            refusal.expect("57P03", &texts);
            assert_eq!(raw.rest().await, b"", "after {cut} bytes");
        }
        length.store(answer.len(), Ordering::SeqCst);
        Raw::session(port, "alice").await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_password_message_cut_off_by_the_application_is_not_sent() {
    let world = World::new()
        .with_target("plain", "{host: <postgres>, ssl: {mode: disable}}")
        .target("plain")
        .start()
        .await;
    let host = format!("localhost:{}", world.postgres.port);
    let hello = startup(V3_0, &[("user", "by_password"), ("database", DATABASE), ("host", &host)]);
    let password = world.postgres.password("by_password");
    let answer = message(b'p', &[password.as_bytes(), b"\0"].concat());
    for port in [world.client().port(), world.server().port()] {
        for cut in 0..=answer.len() {
            let mut raw = Raw::connect(port).await;
            raw.send(&hello).await;
            assert_eq!(raw.message().await.unwrap().body, [0, 0, 0, 3]);
            raw.send(&answer[..cut]).await;
            if cut == answer.len() {
                raw.until_ready().await;
            } else {
                raw.close_write().await;
                assert_eq!(raw.rest().await, b"", "after {cut} bytes");
            }
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn packets_before_the_login_may_be_cut_off_at_any_byte() {
    let world = World::new().with_server_tls().with_client_tls().start().await;
    let cancel = packet(b"\x04\xd2\x16\x2e\0\0\0\x01swordfish");
    let endpoint = world.rds().endpoint();
    let (host, key) = (("host", endpoint.as_str()), ("rds-auth-proxy.cancel", "1:73776f7264"));
    let cancel_of_a_client = startup(V3_0, &[host, key]);
    let hello = client_hello(&[b"postgresql"]).await;
    let hello_behind_request = [SSL_REQUEST, &client_hello(&[]).await].concat();
    let packets = [SSL_REQUEST, GSSENC_REQUEST, &cancel, &cancel_of_a_client, &hello, &hello_behind_request];
    for port in [world.client().port(), world.server().port()] {
        for packet in packets {
            for cut in 0..packet.len() {
                let mut raw = Raw::connect(port).await;
                raw.send(&packet[..cut]).await;
                raw.close_write().await;
                // At most the answer to the SSLRequest and a TLS alert.
                let rest = raw.rest().await;
                assert!(rest.len() < 16, "{} bytes after {cut} of {packet:?}", rest.len());
            }
        }
    }
    assert_eq!(world.rds().connections(), 0);
    let mut raw = Raw::connect(world.client().port()).await.request_tls().await;
    raw.send(&login("alice")).await;
    raw.until_ready().await;
    world.stop().await;
}

/// The first bytes of a TLS client.
async fn client_hello(alpn: &[&[u8]]) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let connector = tls(alpn);
    let connecting = tokio::spawn(async move { Raw::over(near).encrypt(&connector).await.map(drop) });
    let mut hello = vec![0; 16 * 1024];
    let length = far.read(&mut hello).await.unwrap();
    connecting.abort();
    hello.truncate(length);
    hello
}

//! Hostile first messages of TLS: server names that are none, and messages without end.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

use super::orders;
use crate::support::raw::{Raw, SSL_REQUEST, login, tls};

/// As long as the names in [`hostile_names`].
const NAME: &str = "orders.db.example";

/// What a TLS client sends first, with this server name.
async fn hello(name: &[u8]) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let client =
        tokio::spawn(async move { Raw::over(near).encrypt_to(NAME, &tls(&[b"postgresql"])).await.err() });
    let mut hello = vec![0; 16 * 1024];
    let length = far.read(&mut hello).await.unwrap();
    hello.truncate(length);
    client.abort();
    let at = hello.windows(NAME.len()).position(|part| part == NAME.as_bytes()).expect("no server name");
    hello[at..at + NAME.len()].copy_from_slice(name);
    hello
}

fn hostile_names() -> [&'static [u8]; 6] {
    [
        b"orders db example",
        b"orders.db\0example",
        b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4\xf3\xf2\xf1\xf0\xef",
        b"..........example",
        b"../../etc/passwd.",
        b"'; drop table a;-",
    ]
}

/// A record of a handshake with this message type and length, and the first bytes of its body.
fn records(length: usize, body: &[u8]) -> Vec<u8> {
    let message = [&[1], &u32::try_from(length).unwrap().to_be_bytes()[1..], body].concat();
    let record =
        |part: &[u8]| [&[22, 3, 1], &u16::try_from(part.len()).unwrap().to_be_bytes()[..], part].concat();
    message.chunks(1 << 14).flat_map(record).collect()
}

#[tokio::test]
async fn a_server_name_that_is_no_host_name_is_refused_at_once() {
    let world = orders().await.start().await;
    for name in hostile_names() {
        for request in [&b""[..], SSL_REQUEST] {
            let mut raw = Raw::connect(world.server().port()).await;
            raw.send(request).await;
            if !request.is_empty() {
                assert_eq!(raw.byte().await, Some(b'S'));
            }
            let began = Instant::now();
            raw.send(&hello(name).await).await;
            let answer = raw.rest().await;
            // A TLS alert, which is fatal (RFC 8446 section 6), and the end: not after the handshake's time.
            let shown = name.escape_ascii();
            assert!(answer.first() == Some(&21) && answer.get(5) == Some(&2), "{shown}: {answer:?}");
            assert!(began.elapsed() < Duration::from_secs(10), "{shown}: {:?}", began.elapsed());
        }
    }
    world.server().wait_for_log("\"reason\":\"application_tls\"").await;
    assert_eq!(world.rds().connections(), 0);
    let mut raw =
        Raw::connect(world.server().port()).await.encrypt_to(NAME, &tls(&[b"postgresql"])).await.unwrap();
    raw.send(&login("by_trust")).await;
    raw.until_ready().await;
    drop(raw);
    world.stop().await;
}

/// Whole ones are refused at once, and unfinished ones at the end of the handshake's time.
#[tokio::test]
async fn a_client_hello_of_64_kb_and_more_is_refused_in_bounded_time_and_memory() {
    const CONNECTIONS: usize = 100;
    let world = orders().await.with_server("proxy: {handshake_timeout: 3s}").start().await;
    let port = world.server().port();
    for (length, sent) in [(0xff_ffff, 1 << 14), (0x1_0000, 0x1_0000), (0xffff, 0xffff)] {
        let mut raw = Raw::connect(port).await;
        let _ = raw.try_send(&records(length, &vec![0; sent])).await;
        let began = Instant::now();
        raw.rest().await;
        assert!(began.elapsed() < Duration::from_secs(2), "{length}: {:?}", began.elapsed());
    }
    let before = world.server().peak_memory();
    // Almost as much as is read, and never finished.
    let unfinished = records(0xf000, &vec![0; 0xe000]);
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut raw = Raw::connect(port).await;
        raw.send(&unfinished).await;
        held.push(raw);
    }
    let began = Instant::now();
    for mut raw in held {
        raw.rest().await;
    }
    // Of all together: the handshake's time, and not the patience of this test, which is 30 s.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    if let (Some(before), Some(after)) = (before, world.server().peak_memory()) {
        assert!(after - before < CONNECTIONS * 256, "{before} kB, then {after} kB");
    }
    world
        .server()
        .wait_for_log("time ran out after 3 s while waiting for the application's startup packet")
        .await;
    world.stop().await;
}

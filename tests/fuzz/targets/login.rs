//! The step `authenticate` between an application and a database that both send arbitrary bytes.
//!
//! An input consists of a byte of flags (bit 0: the proxy has a password), the number of bytes that the application sends
//! (two bytes), these bytes, and the bytes that the database sends.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rds_auth_proxy::net::{Framed, Socket};
use rds_auth_proxy::secret::Secret;
use rds_auth_proxy::session::fuzzing;
use rds_auth_proxy::wire::{Authentication, BackendMessage, Header, ProtocolVersion, StartupMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::runtime::{Builder, Runtime};

const PASSWORD: &[u8] = b"swordfish-0123456789";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

fuzz_target!(|data: &[u8]| {
    let Some(([flags, length @ ..], rest)) = data.split_first_chunk::<3>() else { return };
    let Some((app_sends, hop_sends)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else {
        return;
    };
    // The proxy may forward the password if the input contains it.
    if contains_password(data) {
        return;
    }
    let password = (flags & 1 == 1).then(|| Secret::new(PASSWORD));
    let (app, app_end) = duplex(65_536);
    let (hop, hop_end) = duplex(65_536);
    let (logged_in, app_receives, hop_receives) = RUNTIME.block_on(async {
        tokio::join!(log_in(app_end, hop_end, password), talk(app, app_sends), talk(hop, hop_sends))
    });
    check_app(&app_receives, logged_in);
    if logged_in {
        check_order(hop_sends);
    }
    check_hop(&hop_receives);
});

async fn log_in(app: DuplexStream, hop: DuplexStream, password: Option<Secret>) -> bool {
    let [mut app, hop] = [app, hop].map(|end| Framed::new(Socket::Tunnel(Box::new(end))));
    let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
    startup.set("user", b"alice").expect("a valid parameter");
    let ended = fuzzing::login(&mut app, hop, startup, password).await;
    if let Err(failure) = &ended {
        let _texts = (failure.fault(), failure.reason(), failure.to_string(), failure.response());
    }
    ended.is_ok()
}

/// Sends all bytes. Returns the received ones.
async fn talk(socket: DuplexStream, bytes: &[u8]) -> Vec<u8> {
    let (mut from, mut to) = split(socket);
    let mut received = Vec::new();
    let sending = async {
        // The proxy may close before it has read all bytes.
        let _sent = to.write_all(bytes).await;
        let _closed = to.shutdown().await;
    };
    let _both = tokio::join!(sending, from.read_to_end(&mut received));
    received
}

/// Checks that the application receives complete, valid messages, a ReadyForQuery only after a login, and no password.
fn check_app(received: &[u8], logged_in: bool) {
    assert!(!contains_password(received));
    let mut rest = received;
    let mut last = 0;
    while let Some((header, behind)) = rest.split_first_chunk() {
        let header = Header::decode(*header).expect("a message of a login");
        let (body, behind) = behind.split_at(header.body_length);
        let message = BackendMessage::decode(header.tag, body).expect("a message that can be read");
        if let BackendMessage::Authentication(Authentication::Sasl { mechanisms }) = message {
            assert!(!mechanisms.contains(&"SCRAM-SHA-256-PLUS"), "a relayed offer contains channel binding");
        }
        (last, rest) = (header.tag, behind);
    }
    assert!(rest.is_empty());
    assert_eq!(last == b'Z', logged_in);
}

/// Checks that a login which succeeded had one method, in the order of the PostgreSQL manual, and ended with
/// `AuthenticationOk`.
fn check_order(sent: &[u8]) {
    let mut codes = Vec::new();
    let mut rest = sent;
    while let Some((header, behind)) = rest.split_first_chunk() {
        let header = Header::decode(*header).expect("a message of a login");
        let (body, behind) = behind.split_at(header.body_length);
        match header.tag {
            b'R' => codes.push(u32::from_be_bytes(*body.first_chunk().expect("a code"))),
            b'Z' => break,
            _ => {}
        }
        rest = behind;
    }
    let orders: [&[u32]; 5] = [&[0], &[3, 0], &[5, 0], &[10, 0], &[10, 11, 12, 0]];
    assert!(orders.contains(&codes.as_slice()), "the login succeeded after {codes:?}");
}

/// Checks that the database receives the startup packet and answers to password requests, and nothing else.
fn check_hop(received: &[u8]) {
    let word = received.first_chunk().expect("a startup packet");
    let mut rest = &received[u32::from_be_bytes(*word) as usize..];
    let mut answers = 0;
    while let Some((header, behind)) = rest.split_first_chunk::<{ Header::LENGTH }>() {
        let [tag, length @ ..] = *header;
        assert_eq!(tag, b'p', "the database receives another message than a password");
        let length = u32::from_be_bytes(length) as usize - 4;
        rest = &behind[length..];
        answers += 1;
    }
    assert!(rest.is_empty());
    // SASL has two: the initial response and the proof.
    assert!(answers <= 2, "the database receives {answers} answers");
}

fn contains_password(bytes: &[u8]) -> bool {
    bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD)
}

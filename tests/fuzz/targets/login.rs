//! The step `authenticate` between an application and a database that both say what they like.
//!
//! An input: a byte, whose bit 0 says that the password is ours to give; two bytes, how many bytes the application
//! sends; these; and what the database sends.

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
    let Some((app_says, hop_says)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else {
        return;
    };
    // What somebody else says may be passed on.
    if tells_password(data) {
        return;
    }
    let ours = (flags & 1 == 1).then(|| Secret::new(PASSWORD));
    let (app, app_end) = duplex(65_536);
    let (hop, hop_end) = duplex(65_536);
    let (logged_in, app_hears, hop_hears) = RUNTIME.block_on(async {
        tokio::join!(log_in(app_end, hop_end, ours), talk(app, app_says), talk(hop, hop_says))
    });
    check_app(&app_hears, logged_in);
    check_hop(&hop_hears);
});

async fn log_in(app: DuplexStream, hop: DuplexStream, password: Option<Secret>) -> bool {
    let [mut app, hop] = [app, hop].map(|end| Framed::new(Socket::Tunnel(Box::new(end))));
    let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
    startup.set("user", b"alice").expect("a name like any other");
    let ended = fuzzing::login(&mut app, hop, startup, password).await;
    if let Err(failure) = &ended {
        let _said = (failure.fault(), failure.reason(), failure.to_string(), failure.response());
    }
    ended.is_ok()
}

/// Sends everything, and returns what came back.
async fn talk(socket: DuplexStream, says: &[u8]) -> Vec<u8> {
    let (mut from, mut to) = split(socket);
    let mut heard = Vec::new();
    let sending = async {
        // The proxy may hang up before it has read everything.
        let _sent = to.write_all(says).await;
        let _closed = to.shutdown().await;
    };
    let _both = tokio::join!(sending, from.read_to_end(&mut heard));
    heard
}

/// The application hears whole messages that a driver takes, the end of the login last, and no password.
fn check_app(heard: &[u8], logged_in: bool) {
    assert!(!tells_password(heard));
    let mut rest = heard;
    let mut last = 0;
    while let Some((header, behind)) = rest.split_first_chunk() {
        let header = Header::decode(*header).expect("a message of a login");
        let (body, behind) = behind.split_at(header.body_length);
        let message = BackendMessage::decode(header.tag, body).expect("a message that can be read");
        if let BackendMessage::Authentication(Authentication::Sasl { mechanisms }) = message {
            assert!(!mechanisms.contains(&"SCRAM-SHA-256-PLUS"), "channel binding cannot pass");
        }
        (last, rest) = (header.tag, behind);
    }
    assert!(rest.is_empty());
    assert_eq!(last == b'Z', logged_in);
}

/// The database hears the startup packet and answers to its password requests.
fn check_hop(heard: &[u8]) {
    let word = heard.first_chunk().expect("a startup packet");
    let mut rest = &heard[u32::from_be_bytes(*word) as usize..];
    while let Some((header, behind)) = rest.split_first_chunk::<{ Header::LENGTH }>() {
        let [tag, length @ ..] = *header;
        assert_eq!(tag, b'p', "nothing but passwords is said to a database");
        let length = u32::from_be_bytes(length) as usize - 4;
        rest = &behind[length..];
    }
    assert!(rest.is_empty());
}

fn tells_password(bytes: &[u8]) -> bool {
    bytes.windows(PASSWORD.len()).any(|some| some == PASSWORD)
}

//! The step `negotiate` over a stream in memory, towards applications of three kinds: bytes as they come, bytes inside a
//! TLS session after an SSLRequest, and inside one without.
//!
//! The first byte of an input says which: bit 0, TLS is on; bits 1 and 2, the application makes a real TLS
//! handshake; bits 3 to 5, how many bytes travel at once. The rest is what the application sends.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rds_auth_proxy::net::{Socket, Stream};
use rds_auth_proxy::session::{Opening, fuzzing};
use rds_auth_proxy::tls::{Acceptor, ClientIdentity, Connector, SslMode, SelfSigned, ServerIdentity, Settings};
use rds_auth_proxy::wire::encode_ssl_request;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::runtime::{Builder, Runtime};

const AT_ONCE: [usize; 8] = [65_536, 1, 2, 3, 5, 8, 64, 4096];

/// With less, a handshake stands still: a rustls client answers the ServerHello with a ChangeCipherSpec of 6 bytes before it
/// reads on, while the server still writes. No socket is as small.
const LEAST_FOR_TLS: usize = 8;

/// An SSLRequest or a GSSENCRequest.
const BARE: usize = 8;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime without threads"));
static ACCEPTOR: LazyLock<Acceptor> = LazyLock::new(|| {
    Acceptor::new(ServerIdentity::SelfSigned { hosts: vec!["localhost".into()] }).expect("a certificate")
});
static CONNECTOR: LazyLock<Connector> = LazyLock::new(|| {
    let own = SelfSigned::generate(&["localhost".into()]).expect("a certificate");
    let identity = ClientIdentity::Generated(Arc::new(own));
    Connector::new(Settings { mode: SslMode::Require, roots: None, identity }).expect("settings without files")
});

#[derive(Clone, Copy, PartialEq)]
enum Application {
    Bytes,
    TlsAsked,
    TlsDirect,
}

/// An application that was understood, and the bytes behind what it opened with.
struct Opened {
    in_tls: bool,
    startup: bool,
    unread: Vec<u8>,
}

fuzz_target!(|data: &[u8]| {
    let Some((flags, sent)) = data.split_first() else { return };
    let application = match flags >> 1 & 3 {
        1 => Application::TlsAsked,
        2 => Application::TlsDirect,
        _ => Application::Bytes,
    };
    let acceptor = (flags & 1 == 1 || application != Application::Bytes).then(|| &*ACCEPTOR);
    let least = if application == Application::Bytes { 1 } else { LEAST_FOR_TLS };
    let (app, proxy) = duplex(AT_ONCE[usize::from(flags >> 3 & 7)].max(least));
    let (opened, heard) =
        RUNTIME.block_on(async { tokio::join!(serve(proxy, acceptor), talk(app, application, sent)) });
    if application == Application::Bytes {
        check_in_clear(sent, opened, &heard, acceptor.is_some());
    } else if let Some(opened) = opened {
        assert!(opened.in_tls && heard.is_empty());
        check_exact(sent, &opened);
    } else {
        assert!(heard.is_empty() || heard[0] == b'E', "inside TLS there are no answers but errors");
    }
});

async fn serve(socket: DuplexStream, acceptor: Option<&Acceptor>) -> Option<Opened> {
    match fuzzing::negotiate(Socket::Tunnel(Box::new(socket)), acceptor).await {
        Ok((app, opening)) => {
            let mut stream = app.into_stream();
            let mut unread = Vec::new();
            // A TLS session that breaks behind the packet is the next step's matter.
            let _broken = stream.read_to_end(&mut unread).await;
            let startup = matches!(opening, Opening::Startup(_));
            Some(Opened { in_tls: stream.is_tls(), startup, unread })
        }
        Err((app, failure)) => {
            let _said = (failure.fault(), failure.reason(), failure.to_string());
            if let (Some(mut app), Some(response)) = (app, failure.response()) {
                response.encode(app.out());
                let _gone = app.flush().await;
            }
            None
        }
    }
}

/// Sends everything, and returns what came back to the application.
async fn talk(mut socket: DuplexStream, application: Application, sent: &[u8]) -> Vec<u8> {
    if application == Application::TlsAsked {
        let mut request = Default::default();
        encode_ssl_request(&mut request);
        socket.write_all(&request).await.expect("the request is read");
        assert_eq!(socket.read_u8().await.expect("the request is answered"), b'S');
    }
    let socket = Socket::Tunnel(Box::new(socket));
    let stream = match application {
        Application::Bytes => Stream::Plain(socket),
        _ => CONNECTOR.connect(socket, "localhost").await.expect("a handshake between friends succeeds"),
    };
    let (mut from, mut to) = split(stream);
    let mut heard = Vec::new();
    let sending = async {
        // The proxy may hang up before it has read everything.
        let _sent = to.write_all(sent).await;
        let _closed = to.shutdown().await;
    };
    let _both = tokio::join!(sending, from.read_to_end(&mut heard));
    heard
}

fn check_in_clear(sent: &[u8], opened: Option<Opened>, heard: &[u8], tls_on: bool) {
    let requests = heard.iter().take(2).take_while(|byte| **byte == b'N').count();
    let Some(opened) = opened else {
        assert!(tls_on || heard.get(requests).is_none_or(|byte| *byte == b'E'));
        return;
    };
    assert!(!opened.in_tls, "nobody made a handshake");
    assert_eq!(requests, heard.len(), "a request is answered with one byte");
    check_exact(&sent[BARE * requests..], &opened);
}

/// The last packet was read to its end and not a byte further.
fn check_exact(sent: &[u8], opened: &Opened) {
    let word = sent.first_chunk().expect("there was a packet");
    let length = u32::from_be_bytes(*word) as usize;
    assert_eq!(sent[length..], opened.unread[..]);
    assert!(opened.startup == (sent[4..6] == [0, 3]), "major 3 is a login, all else is not");
}

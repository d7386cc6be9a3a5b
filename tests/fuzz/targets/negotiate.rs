//! The step `negotiate` over a stream in memory, with three kinds of applications: arbitrary bytes, and bytes inside TLS
//! after an SSLRequest or with direct TLS.
//!
//! The first byte of an input holds flags: bit 0, the proxy has TLS; bits 1 and 2, the application makes a real TLS
//! handshake; bits 3 to 5, the buffer size of the stream; bit 6, the proxy requires a header of the PROXY protocol. The other
//! bytes are those that the application sends. Before a real handshake there is a valid header, else they begin with it.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rds_auth_proxy::net::{Socket, Stream};
use rds_auth_proxy::session::{Opening, fuzzing};
use rds_auth_proxy::tls::{
    Acceptor, ClientCertificate, ClientIdentity, Connector, Negotiation, SelfSigned, ServerIdentity,
    ServerSettings, Settings, SslMode,
};
use rds_auth_proxy::wire::{decode_proxy_header, encode_ssl_request, proxy_header_missing};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::runtime::{Builder, Runtime};

/// Buffer sizes of the stream, in bytes.
const BUFFERS: [usize; 8] = [65_536, 1, 2, 3, 5, 8, 64, 4096];

/// The smallest buffer with which a handshake does not deadlock: a rustls client answers the ServerHello with a
/// ChangeCipherSpec of 6 bytes before it reads on, while the server still writes. Sockets have larger buffers.
const MIN_FOR_TLS: usize = 8;

/// A header of a load balancer.
const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.9 5432 8000\r\n";

/// The length of an SSLRequest or a GSSENCRequest.
const REQUEST: usize = 8;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime without threads"));
static ACCEPTOR: LazyLock<Acceptor> = LazyLock::new(|| {
    let identity = ServerIdentity::SelfSigned { hosts: vec!["localhost".into()] };
    Acceptor::new(ServerSettings::new(identity)).expect("a certificate")
});
static CONNECTOR: LazyLock<Connector> = LazyLock::new(|| {
    let own = SelfSigned::generate(&["localhost".into()]).expect("a certificate");
    let identity = ClientIdentity::Generated(Arc::new(own));
    let (server_name, negotiation) = (None, Negotiation::Postgres);
    Connector::new(Settings { mode: SslMode::Require, roots: None, identity, server_name, negotiation })
});

#[derive(Clone, Copy, PartialEq)]
enum Application {
    Bytes,
    RequestedTls,
    DirectTls,
}

/// A successful negotiation, and the bytes after its last packet.
struct Opened {
    in_tls: bool,
    startup: bool,
    unread: Vec<u8>,
}

fuzz_target!(|data: &[u8]| {
    let Some((flags, sent)) = data.split_first() else { return };
    let application = match flags >> 1 & 3 {
        1 => Application::RequestedTls,
        2 => Application::DirectTls,
        _ => Application::Bytes,
    };
    let acceptor = (flags & 1 == 1 || application != Application::Bytes).then(|| &*ACCEPTOR);
    let balanced = flags >> 6 & 1 == 1;
    let least = if application == Application::Bytes { 1 } else { MIN_FOR_TLS };
    let (app, proxy) = duplex(BUFFERS[usize::from(flags >> 3 & 7)].max(least));
    let (opened, received) = RUNTIME.block_on(async {
        tokio::join!(serve(proxy, acceptor, balanced), talk(app, application, balanced, sent))
    });
    if application == Application::Bytes {
        match if balanced { behind_header(sent) } else { Some(sent) } {
            Some(sent) => check_cleartext(sent, opened, &received, acceptor.is_some()),
            None => assert!(opened.is_none() && received.first().is_none_or(|byte| *byte == b'E')),
        }
    } else if let Some(opened) = opened {
        assert!(opened.in_tls && received.is_empty());
        check_exact(sent, &opened);
    } else {
        assert!(received.is_empty() || received[0] == b'E', "inside TLS the only answer is an error");
    }
});

async fn serve(socket: DuplexStream, acceptor: Option<&Acceptor>, balanced: bool) -> Option<Opened> {
    match fuzzing::negotiate(Socket::Tunnel(Box::new(socket)), acceptor, balanced).await {
        Ok((app, opening)) => {
            let mut stream = app.into_stream();
            let mut unread = Vec::new();
            // The next step handles a TLS error after the packet.
            let _broken = stream.read_to_end(&mut unread).await;
            let startup = matches!(opening, Opening::Startup(_));
            Some(Opened { in_tls: stream.is_tls(), startup, unread })
        }
        Err((app, failure)) => {
            let _texts = (failure.fault(), failure.reason(), failure.to_string());
            if let (Some(mut app), Some(response)) = (app, failure.response()) {
                response.encode(app.out());
                let _gone = app.flush().await;
            }
            None
        }
    }
}

/// Sends all bytes. Returns those that the application received.
async fn talk(mut socket: DuplexStream, application: Application, balanced: bool, sent: &[u8]) -> Vec<u8> {
    if balanced && application != Application::Bytes {
        socket.write_all(HEADER).await.expect("the proxy reads the header");
    }
    if application == Application::RequestedTls {
        let mut request = Default::default();
        encode_ssl_request(&mut request);
        socket.write_all(&request).await.expect("the proxy reads the request");
        assert_eq!(socket.read_u8().await.expect("the proxy answers the request"), b'S');
    }
    let socket = Socket::Tunnel(Box::new(socket));
    let stream = match application {
        Application::Bytes => Stream::Plain(socket),
        _ => CONNECTOR
            .connect(socket, "localhost", ClientCertificate::Shown)
            .await
            .expect("a valid handshake succeeds"),
    };
    let (mut from, mut to) = split(stream);
    let mut received = Vec::new();
    let sending = async {
        // The proxy may close before it has read all bytes.
        let _sent = to.write_all(sent).await;
        let _closed = to.shutdown().await;
    };
    let _both = tokio::join!(sending, from.read_to_end(&mut received));
    received
}

/// What follows a whole and valid header.
fn behind_header(sent: &[u8]) -> Option<&[u8]> {
    let mut length = 1;
    loop {
        match proxy_header_missing(sent.get(..length)?).ok()? {
            0 => break,
            missing => length += missing,
        }
    }
    let (header, behind) = sent.split_at(length);
    decode_proxy_header(header).ok().map(|_| behind)
}

fn check_cleartext(sent: &[u8], opened: Option<Opened>, received: &[u8], tls_on: bool) {
    let requests = received.iter().take(2).take_while(|byte| **byte == b'N').count();
    let Some(opened) = opened else {
        assert!(tls_on || received.get(requests).is_none_or(|byte| *byte == b'E'));
        return;
    };
    assert!(!opened.in_tls, "TLS without a handshake");
    assert_eq!(requests, received.len(), "the answer to a request is one byte");
    check_exact(&sent[REQUEST * requests..], &opened);
}

/// Checks that the proxy read the last packet to its end and not a byte more.
fn check_exact(sent: &[u8], opened: &Opened) {
    let word = sent.first_chunk().expect("there was a packet");
    let length = u32::from_be_bytes(*word) as usize;
    assert_eq!(sent[length..], opened.unread[..]);
    assert!(opened.startup == (sent[4..6] == [0, 3]), "only major version 3 is a login");
}

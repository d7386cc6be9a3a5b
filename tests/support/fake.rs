//! A database that is none: a listener whose every connection does what a test says, for hops that lie, hang or break.

use std::future::Future;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::{Authority, Validity};
use super::protocol::{FirstPacket, read_first};
use super::raw::{Raw, message};
use super::runtime;

/// A listener. It accepts until the process ends.
pub struct Fake {
    pub port: u16,
}

impl Fake {
    /// Every connection is handed to `behave`, from its first byte on, and closed when that is done.
    pub async fn start<F, Done>(behave: F) -> Self
    where
        F: Fn(TcpStream) -> Done + Send + Sync + 'static,
        Done: Future<Output = ()> + Send + 'static,
    {
        runtime::within(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(behave(stream));
                }
            });
            Self { port }
        })
        .await
    }

    /// Answers the startup packet with these bytes and then says nothing more, until the other side ends.
    pub async fn answering(bytes: Vec<u8>) -> Self {
        Self::start(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                if let Ok(FirstPacket::Startup(_)) = read_first(&mut stream).await {
                    let _ = stream.write_all(&bytes).await;
                    wait_for_end(&mut stream).await;
                }
            }
        })
        .await
    }

    /// Answers the first packet, whatever it is, with these bytes and hangs up.
    pub async fn hanging_up_after(bytes: Vec<u8>) -> Self {
        Self::start(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                let _ = read_first(&mut stream).await;
                let _ = stream.write_all(&bytes).await;
            }
        })
        .await
    }

    /// Lets everybody in who comes in clear, or who comes in TLS, and hands the session to `behave`.
    pub async fn letting_in<Done>(tls: bool, behave: fn(Raw) -> Done) -> Self
    where
        Done: Future<Output = ()> + Send + 'static,
    {
        let acceptor = tls.then(acceptor);
        Self::start(move |mut stream| {
            let acceptor = acceptor.clone();
            async move {
                let mut raw = if let Some(acceptor) = acceptor {
                    Raw::over(encrypted(stream, &acceptor).await)
                } else {
                    assert!(matches!(read_first(&mut stream).await, Ok(FirstPacket::Startup(_))));
                    Raw::over(stream)
                };
                raw.send(WELCOME).await;
                behave(raw).await;
            }
        })
        .await
    }

    /// As a static target with the TLS mode `mode`; `verify-full` with the authority of the tests.
    pub fn target(&self, mode: &str) -> String {
        let root = if mode == "verify-full" { ", root_certificate: '<ca>'" } else { "" };
        format!("{{host: 'localhost:{}', ssl: {{mode: {mode}{root}}}}}", self.port)
    }
}

/// `AuthenticationOk` and `ReadyForQuery`.
pub const WELCOME: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];

/// TLS with a certificate for `localhost` of the trusted authority.
pub fn acceptor() -> TlsAcceptor {
    TlsAcceptor::from(Authority::trusted().issue(&["localhost"], Validity::Now).server_config(false))
}

/// Answers the SSLRequest, and takes the startup packet out of TLS.
pub async fn encrypted(mut stream: TcpStream, acceptor: &TlsAcceptor) -> TlsStream<TcpStream> {
    assert!(matches!(read_first(&mut stream).await, Ok(FirstPacket::SslRequest)));
    stream.write_all(b"S").await.unwrap();
    let mut stream = acceptor.accept(stream).await.unwrap();
    assert!(matches!(read_first(&mut stream).await, Ok(FirstPacket::Startup(_))));
    stream
}

/// Reads until the other side has no more to say.
pub async fn wait_for_end(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {}
}

/// The message `Authentication…` with this code and these data.
pub fn authentication(code: u32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[code.to_be_bytes().as_slice(), data].concat())
}

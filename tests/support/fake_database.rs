//! A fake database: a listener whose connections run a test's script, for hops that lie, hang or break.

use std::future::Future;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::{Authority, Validity};
use super::protocol::{FirstPacket, read_first};
use super::raw::{Raw, message};
use super::runtime;

/// A fake database. It accepts connections until the process ends.
pub struct FakeDatabase {
    pub port: u16,
}

impl FakeDatabase {
    /// Runs `script` on every connection from its first byte, then closes the connection.
    pub async fn start<F, Done>(script: F) -> Self
    where
        F: Fn(TcpStream) -> Done + Send + Sync + 'static,
        Done: Future<Output = ()> + Send + 'static,
    {
        runtime::within(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(script(stream));
                }
            });
            Self { port }
        })
        .await
    }

    /// Answers the startup packet with these bytes, then stays silent until the other side closes.
    pub async fn answering(bytes: Vec<u8>) -> Self {
        Self::start(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                if let Ok(FirstPacket::Startup(_)) = read_first(&mut stream).await {
                    let _ = stream.write_all(&bytes).await;
                    read_until_close(&mut stream).await;
                }
            }
        })
        .await
    }

    /// Answers the first packet, whatever it is, with these bytes and closes.
    pub async fn closing_after(bytes: Vec<u8>) -> Self {
        Self::start(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                let _ = read_first(&mut stream).await;
                let _ = stream.write_all(&bytes).await;
            }
        })
        .await
    }

    /// Accepts every login, over TLS or in clear text, and runs `script` in the session.
    pub async fn accepting_logins<Done>(tls: bool, script: fn(Raw) -> Done) -> Self
    where
        Done: Future<Output = ()> + Send + 'static,
    {
        let acceptor = tls.then(acceptor);
        Self::start(move |mut stream| {
            let acceptor = acceptor.clone();
            async move {
                let mut raw = if let Some(acceptor) = acceptor {
                    Raw::over(accept_tls(stream, &acceptor).await)
                } else {
                    assert!(matches!(read_first(&mut stream).await, Ok(FirstPacket::Startup(_))));
                    Raw::over(stream)
                };
                raw.send(LOGIN_OK).await;
                script(raw).await;
            }
        })
        .await
    }

    /// The YAML of a static target with this `sslmode`; `verify-full` trusts the tests' authority.
    pub fn target(&self, mode: &str) -> String {
        let root = if mode == "verify-full" { ", root_certificate: '<ca>'" } else { "" };
        format!("{{host: 'localhost:{}', ssl: {{mode: {mode}{root}}}}}", self.port)
    }
}

/// `AuthenticationOk` and `ReadyForQuery`.
pub const LOGIN_OK: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];

/// A TLS acceptor with a certificate for `localhost` from the trusted authority.
pub fn acceptor() -> TlsAcceptor {
    TlsAcceptor::from(Authority::trusted().issue(&["localhost"], Validity::Now).server_config(false))
}

/// Accepts the SSLRequest and reads the startup packet inside TLS.
pub async fn accept_tls(mut stream: TcpStream, acceptor: &TlsAcceptor) -> TlsStream<TcpStream> {
    assert!(matches!(read_first(&mut stream).await, Ok(FirstPacket::SslRequest)));
    stream.write_all(b"S").await.unwrap();
    let mut stream = acceptor.accept(stream).await.unwrap();
    assert!(matches!(read_first(&mut stream).await, Ok(FirstPacket::Startup(_))));
    stream
}

/// Reads until the other side closes.
pub async fn read_until_close(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {}
}

/// An `Authentication…` message with this code and data.
pub fn authentication(code: u32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[code.to_be_bytes().as_slice(), data].concat())
}

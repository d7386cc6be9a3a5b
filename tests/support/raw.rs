//! A raw connection of an application, for bytes that no driver would send.
//!
//! Written from the PostgreSQL manual, "Message Formats", without `rds_auth_proxy::wire`, like [`super::protocol`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WantsClientCert;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ConfigBuilder};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::certificates::{Authority, Certificate, roots};
use super::roles::DATABASE;

/// The packet `SSLRequest`.
pub const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
/// The packet `GSSENCRequest`.
pub const GSSENC_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 48];
/// The message `Terminate`.
pub const TERMINATE: &[u8] = &[b'X', 0, 0, 0, 4];
/// Protocol 3.0.
pub const V3_0: u32 = 0x3_0000;

/// The timeout of a read.
const PATIENCE: Duration = Duration::from_secs(30);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A raw connection, with or without TLS.
pub struct Raw(Box<dyn Stream>);

/// A message from the other side.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    pub tag: u8,
    pub body: Vec<u8>,
}

/// An `ErrorResponse`, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    fields: Vec<(u8, String)>,
}

/// A startup packet with its length word.
pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    packet(&body)
}

/// A startup packet for protocol 3.0, this user and the database of the test world.
pub fn login(user: &str) -> Vec<u8> {
    startup(V3_0, &[("user", user), ("database", DATABASE)])
}

/// A packet: a length word and `body`.
pub fn packet(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes(), body].concat()
}

/// A message: tag, length word and `body`.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], packet(body).as_slice()].concat()
}

/// The message `Query`.
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), &[0]].concat())
}

/// A TLS connector like `sslmode=verify-full` with the trusted authority, which offers `alpn`.
pub fn tls(alpn: &[&[u8]]) -> TlsConnector {
    let mut config = tls_config().with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// The same without ALPN, with a client certificate.
pub fn tls_with(certificate: &Certificate) -> TlsConnector {
    let (chain, key) = certificate.der();
    TlsConnector::from(Arc::new(tls_config().with_client_auth_cert(chain, key).unwrap()))
}

/// Trust in the trusted authority.
pub fn tls_config() -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&Authority::trusted().path))
}

impl Raw {
    /// Opens a TCP connection to a loopback port.
    pub async fn connect(port: u16) -> Self {
        Self::over(TcpStream::connect(("127.0.0.1", port)).await.unwrap())
    }

    /// One that comes from this loopback address.
    pub async fn connect_from(address: [u8; 4], port: u16) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        Self::over(socket.connect(([127, 0, 0, 1], port).into()).await.unwrap())
    }

    /// Logs in with protocol 3.0 and these parameters, in this order. Returns all messages up to `ReadyForQuery`.
    pub async fn log_in(port: u16, parameters: &[(&str, &str)]) -> Result<(Self, Vec<Message>), Refusal> {
        let mut raw = Self::connect(port).await;
        raw.send(&startup(V3_0, parameters)).await;
        let messages = raw.ready().await?;
        Ok((raw, messages))
    }

    /// Opens a session of this user in the database of the test world.
    pub async fn session(port: u16, user: &str) -> Self {
        Self::log_in(port, &[("user", user), ("database", DATABASE)]).await.expect("the login fails").0
    }

    /// Wraps an open connection.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }

    /// Starts TLS without an `SSLRequest`.
    pub async fn encrypt(self, connector: &TlsConnector) -> io::Result<Self> {
        self.encrypt_to("localhost", connector).await
    }

    /// The same with this server name.
    pub async fn encrypt_to(self, name: &str, connector: &TlsConnector) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let encrypted = tokio::time::timeout(PATIENCE, connector.connect(name, self.0));
        encrypted.await.expect("the TLS handshake hangs").map(|stream| Self(Box::new(stream)))
    }

    /// Sends an `SSLRequest` and starts TLS.
    pub async fn request_tls(self) -> Self {
        self.request(&tls(&[])).await.unwrap()
    }

    /// The same with this connector.
    pub async fn request(mut self, connector: &TlsConnector) -> io::Result<Self> {
        self.send(SSL_REQUEST).await;
        assert_eq!(self.byte().await, Some(b'S'));
        self.encrypt(connector).await
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    /// Sends bytes; the other side may have closed.
    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Closes the sending direction; reading continues.
    pub async fn close_write(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Reads the next byte; none at the end.
    pub async fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        (self.read(&mut byte).await == 1).then_some(byte[0])
    }

    /// Reads the next message; none at the end.
    pub async fn message(&mut self) -> Option<Message> {
        let tag = self.byte().await?;
        let mut length = [0; 4];
        self.read_exact(&mut length).await;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        self.read_exact(&mut body).await;
        Some(Message { tag, body })
    }

    /// Reads all messages up to and including `ReadyForQuery`, or the error that comes instead.
    pub async fn ready(&mut self) -> Result<Vec<Message>, Refusal> {
        let mut messages = Vec::new();
        loop {
            let message = self.message().await;
            let message = message.unwrap_or_else(|| panic!("the connection ended after {messages:?}"));
            if message.tag == b'E' {
                return Err(message.refusal());
            }
            let ready = message.tag == b'Z';
            messages.push(message);
            if ready {
                return Ok(messages);
            }
        }
    }

    /// Reads all messages up to and including `ReadyForQuery`; panics at an error.
    pub async fn until_ready(&mut self) -> Vec<Message> {
        self.ready().await.unwrap()
    }

    /// Runs a query. Returns the first column of its first row.
    pub async fn query(&mut self, sql: &str) -> Result<String, Refusal> {
        self.send(&query(sql)).await;
        let messages = self.ready().await?;
        Ok(messages.iter().find(|message| message.tag == b'D').expect("no row").column())
    }

    /// Expects an `ErrorResponse`, possibly after notices, and then the end.
    pub async fn refused(&mut self) -> Refusal {
        loop {
            match self.message().await {
                Some(message) if message.tag == b'N' => {}
                Some(message) => {
                    let refusal = message.refusal();
                    assert_eq!(self.message().await, None, "after {refusal:?}");
                    return refusal;
                }
                None => panic!("the connection was closed without an ErrorResponse"),
            }
        }
    }

    /// Reads all bytes up to the end.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        while let Some(byte) = self.byte().await {
            rest.push(byte);
        }
        rest
    }

    /// Expects no byte for this long.
    pub async fn expect_silence(&mut self, time: Duration) {
        let mut byte = [0];
        let read = tokio::time::timeout(time, self.0.read(&mut byte)).await;
        assert!(read.is_err(), "{read:?} instead of silence");
    }

    /// Reads exactly as many bytes as `buffer` holds.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) {
        let read = tokio::time::timeout(PATIENCE, self.0.read_exact(buffer)).await;
        read.expect("timeout in the middle of a message")
            .expect("the connection ended in the middle of a message");
    }

    /// Reads bytes; 0 at the end. A reset and an end of TLS without `close_notify` count as the end.
    async fn read(&mut self, buffer: &mut [u8]) -> usize {
        let read = tokio::time::timeout(PATIENCE, self.0.read(buffer)).await;
        match read.expect("timeout while waiting for an answer") {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof) => 0,
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset) => 0,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Message {
    /// Parses an `ErrorResponse`.
    pub fn refusal(&self) -> Refusal {
        assert_eq!(self.tag, b'E', "{self:?} is no ErrorResponse");
        let fields = self.body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
        let field = |field: &[u8]| (field[0], String::from_utf8_lossy(&field[1..]).into_owned());
        Refusal { fields: fields.map(field).collect() }
    }

    /// The first column of a `DataRow`.
    pub fn column(&self) -> String {
        assert_eq!(self.tag, b'D', "{self:?} is no DataRow");
        // Two bytes count the columns, four the length of the first one.
        let length = u32::from_be_bytes(self.body[2..6].try_into().unwrap()) as usize;
        String::from_utf8(self.body[6..6 + length].to_vec()).unwrap()
    }
}

impl Refusal {
    /// The SQLSTATE: five characters.
    pub fn sqlstate(&self) -> &str {
        self.field(b'C').unwrap()
    }

    /// The primary message.
    pub fn message(&self) -> &str {
        self.field(b'M').unwrap()
    }

    /// The HINT, if there is one.
    pub fn hint(&self) -> Option<&str> {
        self.field(b'H')
    }

    /// Expects this SQLSTATE, and each of these texts in message or hint.
    pub fn expect(&self, sqlstate: &str, texts: &[&str]) {
        let text = format!("{} {}", self.message(), self.hint().unwrap_or_default());
        assert_eq!(self.sqlstate(), sqlstate, "{text}");
        for expected in texts {
            assert!(text.contains(expected), "`{expected}` is not in `{text}`");
        }
    }

    fn field(&self, kind: u8) -> Option<&str> {
        self.fields.iter().find(|(known, _)| *known == kind).map(|(_, value)| value.as_str())
    }
}

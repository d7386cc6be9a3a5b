//! An application that is written byte by byte, for everything that no driver would do.
//!
//! From the PostgreSQL manual, "Message Formats", and like [`super::protocol`] on purpose without
//! `rds_auth_proxy::wire`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::certificates::{Authority, roots};
use super::roles::DATABASE;

/// The packet that asks for TLS.
pub const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
/// The packet that asks for GSSAPI encryption.
pub const GSSENC_REQUEST: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 48];
/// The message `Terminate`.
pub const TERMINATE: &[u8] = &[b'X', 0, 0, 0, 4];
/// Protocol 3.0.
pub const V3_0: u32 = 0x3_0000;

/// How long any one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, in clear or in TLS.
pub struct Raw(Box<dyn Stream>);

/// A message of the other side.
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

/// A startup packet, its length included.
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

/// The usual startup packet: protocol 3.0, this user, the database of the test world.
pub fn login(user: &str) -> Vec<u8> {
    startup(V3_0, &[("user", user), ("database", DATABASE)])
}

/// `body` with its length word before it.
pub fn packet(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes(), body].concat()
}

/// A tagged message, its length included.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], packet(body).as_slice()].concat()
}

/// The message `Query`.
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), &[0]].concat())
}

/// TLS as `sslmode=verify-full` with the trusted authority, offering `alpn`.
pub fn tls(alpn: &[&[u8]]) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&Authority::trusted().path))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

impl Raw {
    /// A TCP connection to a loopback port.
    pub async fn connect(port: u16) -> Self {
        Self::over(TcpStream::connect(("127.0.0.1", port)).await.unwrap())
    }

    /// Logs in with protocol 3.0 and these parameters, in this order. Has all messages up to `ReadyForQuery`.
    pub async fn log_in(port: u16, parameters: &[(&str, &str)]) -> Result<(Self, Vec<Message>), Refusal> {
        let mut raw = Self::connect(port).await;
        raw.send(&startup(V3_0, parameters)).await;
        let messages = raw.ready().await?;
        Ok((raw, messages))
    }

    /// A session of this user in the database of the test world.
    pub async fn session(port: u16, user: &str) -> Self {
        Self::log_in(port, &[("user", user), ("database", DATABASE)]).await.expect("it is let in").0
    }

    /// Goes on with a connection that has begun otherwise.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }

    /// Puts TLS on it, without asking first.
    pub async fn encrypt(self, connector: &TlsConnector) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").unwrap();
        let encrypted = tokio::time::timeout(PATIENCE, connector.connect(name, self.0));
        encrypted.await.expect("the TLS handshake hangs").map(|stream| Self(Box::new(stream)))
    }

    /// Asks for TLS and puts it on.
    pub async fn ask_for_tls(mut self) -> Self {
        self.send(SSL_REQUEST).await;
        assert_eq!(self.byte().await, Some(b'S'));
        self.encrypt(&tls(&[])).await.unwrap()
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    /// Sends bytes to somebody who may have hung up.
    pub async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Sends no more, but goes on reading.
    pub async fn end(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// The next byte; none at the end.
    pub async fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        (self.read(&mut byte).await == 1).then_some(byte[0])
    }

    /// The next message; none at the end.
    pub async fn message(&mut self) -> Option<Message> {
        let tag = self.byte().await?;
        let mut length = [0; 4];
        self.exactly(&mut length).await;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        self.exactly(&mut body).await;
        Some(Message { tag, body })
    }

    /// Everything up to and with `ReadyForQuery`, or the error that came instead.
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

    /// Everything up to and with `ReadyForQuery`, and no error.
    pub async fn until_ready(&mut self) -> Vec<Message> {
        self.ready().await.unwrap()
    }

    /// Runs a query: the first column of its first row.
    pub async fn query(&mut self, sql: &str) -> Result<String, Refusal> {
        self.send(&query(sql)).await;
        let messages = self.ready().await?;
        Ok(messages.iter().find(|message| message.tag == b'D').expect("no row").column())
    }

    /// Expects to be refused: notices at most, an `ErrorResponse`, and the end.
    pub async fn refused(&mut self) -> Refusal {
        loop {
            match self.message().await {
                Some(message) if message.tag == b'N' => {}
                Some(message) => {
                    let refusal = message.refusal();
                    assert_eq!(self.message().await, None, "after {refusal:?}");
                    return refusal;
                }
                None => panic!("the connection was closed without a word"),
            }
        }
    }

    /// Everything up to the end, byte by byte.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        while let Some(byte) = self.byte().await {
            rest.push(byte);
        }
        rest
    }

    /// Expects nothing to come for this long.
    pub async fn silent(&mut self, time: Duration) {
        let mut byte = [0];
        let read = tokio::time::timeout(time, self.0.read(&mut byte)).await;
        assert!(read.is_err(), "{read:?} instead of silence");
    }

    /// Fills `buffer`.
    pub async fn exactly(&mut self, buffer: &mut [u8]) {
        let read = tokio::time::timeout(PATIENCE, self.0.read_exact(buffer)).await;
        read.expect("it hangs in the middle of a message").expect("a message was cut off");
    }

    /// A reset and TLS without a goodbye are ends as well.
    async fn read(&mut self, buffer: &mut [u8]) -> usize {
        let read = tokio::time::timeout(PATIENCE, self.0.read(buffer)).await;
        match read.expect("no answer comes, and no end either") {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof) => 0,
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset) => 0,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Message {
    /// What an `ErrorResponse` says.
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
    /// The five characters.
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

    /// Expects this SQLSTATE and each of these texts in message and hint.
    pub fn expect(&self, sqlstate: &str, texts: &[&str]) {
        let said = format!("{} {}", self.message(), self.hint().unwrap_or_default());
        assert_eq!(self.sqlstate(), sqlstate, "{said}");
        for text in texts {
            assert!(said.contains(text), "`{text}` is not in `{said}`");
        }
    }

    fn field(&self, kind: u8) -> Option<&str> {
        self.fields.iter().find(|(known, _)| *known == kind).map(|(_, value)| value.as_str())
    }
}

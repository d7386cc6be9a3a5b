//! A client that says exactly what a test wants said, for what no driver can be brought to send.
//!
//! From the PostgreSQL manual, "Message Formats", without `rds_auth_proxy::wire` like [`super::protocol`].

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Version 3.0 of the protocol.
const VERSION: u32 = 3 << 16;

/// A connection on which nothing was said yet, or a startup packet.
pub struct Raw {
    stream: TcpStream,
}

/// A message of the server.
#[derive(Debug)]
pub struct Message {
    pub tag: u8,
    pub body: Vec<u8>,
}

/// An `ErrorResponse`, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    fields: Vec<(u8, String)>,
}

impl Raw {
    /// Connects to a loopback port.
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Connects and sends a startup packet of version 3.0 with these parameters, in this order.
    pub async fn start(port: u16, parameters: &[(&str, &str)]) -> Self {
        let mut raw = Self::connect(port).await;
        raw.send(&startup(parameters)).await;
        raw
    }

    /// Logs in: succeeds at `ReadyForQuery`, and has all messages up to there.
    pub async fn log_in(port: u16, parameters: &[(&str, &str)]) -> Result<(Self, Vec<Message>), Refusal> {
        let mut raw = Self::start(port, parameters).await;
        let messages = raw.until(b'Z').await?;
        Ok((raw, messages))
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends a message with a tag.
    pub async fn say(&mut self, tag: u8, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).unwrap();
        self.send(&[&[tag][..], &length.to_be_bytes(), body].concat()).await;
    }

    /// The next message; none once the server has closed.
    pub async fn hear(&mut self) -> Option<Message> {
        let read = async {
            let tag = self.stream.read_u8().await?;
            let length = self.stream.read_u32().await? as usize;
            let mut body = vec![0; length - 4];
            self.stream.read_exact(&mut body).await?;
            Ok::<_, io::Error>(Message { tag, body })
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the server says nothing").ok()
    }

    /// All messages up to one with this tag, or the error that came instead.
    pub async fn until(&mut self, tag: u8) -> Result<Vec<Message>, Refusal> {
        let mut messages = Vec::new();
        loop {
            let message = self.hear().await.unwrap_or_else(|| panic!("it closed after {messages:?}"));
            if message.tag == b'E' {
                return Err(Refusal::parse(&message.body));
            }
            messages.push(message);
            if messages.last().is_some_and(|last| last.tag == tag) {
                return Ok(messages);
            }
        }
    }

    /// Runs a query: the first column of its first row.
    pub async fn query(&mut self, sql: &str) -> Result<String, Refusal> {
        self.say(b'Q', &[sql.as_bytes(), &[0]].concat()).await;
        let messages = self.until(b'Z').await?;
        let row = messages.iter().find(|message| message.tag == b'D').expect("no row");
        // Two bytes count the columns, four the length of the first one.
        let length = u32::from_be_bytes(row.body[2..6].try_into().unwrap()) as usize;
        Ok(String::from_utf8(row.body[6..6 + length].to_vec()).unwrap())
    }
}

impl Refusal {
    fn parse(body: &[u8]) -> Self {
        let fields = body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
        let field = |field: &[u8]| (field[0], String::from_utf8_lossy(&field[1..]).into_owned());
        Self { fields: fields.map(field).collect() }
    }

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

    fn field(&self, kind: u8) -> Option<&str> {
        self.fields.iter().find(|(known, _)| *known == kind).map(|(_, value)| value.as_str())
    }
}

/// A startup packet of version 3.0.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = VERSION.to_be_bytes().to_vec();
    for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], &body].concat()
}

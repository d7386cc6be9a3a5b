//! An application that verifies every byte it receives, for connections that may break at any moment.
//!
//! It sends queries with random texts and does not wait for the answers. The database returns each text with the SHA-256
//! of what it received, so a byte that is lost, changed or misplaced in either direction is detected.

use std::io::{self, ErrorKind};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::raw::{V3_0, startup};
use super::roles::DATABASE;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The largest accepted message, in bytes: a wrong length word must not exhaust the memory.
const LARGEST: usize = 1 << 20;

/// An application that connects to a loopback port.
#[derive(Clone, Debug)]
pub struct Application {
    pub port: u16,
    pub user: String,
}

/// The queries of a session.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub queries: usize,
    /// The length of the longest text, in bytes.
    pub length: usize,
    /// The seed of the random texts.
    pub seed: u64,
    /// How long the application waits for the end of the session.
    pub patience: Duration,
}

/// How a session ended, as the application sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every text came back, and the proxy closed after the Terminate.
    Complete,
    /// An ErrorResponse.
    Refused { ready: bool, sqlstate: String, message: String },
    /// The connection was closed or reset before the end.
    Cut { ready: bool },
    /// The application waited in vain for the end.
    Silent { ready: bool },
    /// The application received wrong bytes, which must never happen.
    Corrupt(String),
}

/// Why a session ends early.
enum Stop {
    Closed,
    Refused { sqlstate: String, message: String },
    Corrupt(String),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

impl Application {
    /// Connects, logs in without a password, runs the queries and sends Terminate.
    pub async fn run(self, workload: Workload) -> Outcome {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return Outcome::Cut { ready: false };
        };
        let _ = stream.set_nodelay(true);
        let mut ready = false;
        let ended = timeout(workload.patience, run(&mut stream, &self.user, workload, &mut ready)).await;
        match ended {
            Ok(Ok(())) => Outcome::Complete,
            Ok(Err(Stop::Closed)) => Outcome::Cut { ready },
            Ok(Err(Stop::Refused { sqlstate, message })) => Outcome::Refused { ready, sqlstate, message },
            Ok(Err(Stop::Corrupt(description))) => Outcome::Corrupt(description),
            Err(_) => Outcome::Silent { ready },
        }
    }
}

async fn run(stream: &mut TcpStream, user: &str, workload: Workload, ready: &mut bool) -> Result<(), Stop> {
    let (mut reader, mut writer) = stream.split();
    let startup = startup(V3_0, &[("user", user), ("database", DATABASE)]);
    // After a failed write there may still be an error to read.
    let _ = writer.write_all(&startup).await;
    until_ready(&mut reader, None).await?;
    *ready = true;
    let texts = texts(workload);
    let (sent, verified) =
        tokio::join!(send_queries(&mut writer, &texts), async { verify_answers(&mut reader, &texts).await });
    verified?;
    sent?;
    writer.write_all(&[b'X', 0, 0, 0, 4]).await?;
    match reader.read_u8().await {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Err(_) => Err(Stop::Closed),
        // The proxy may report a broken or idle session before the Terminate reaches it.
        Ok(b'E') => {
            let length = reader.read_u32().await? as usize;
            if !(4..LARGEST).contains(&length) {
                return Err(Stop::Corrupt(format!("an error of {length} bytes after the end")));
            }
            let (body, complete) = read_body(&mut reader, length - 4).await;
            Err(if complete { refused(&body) } else { Stop::Closed })
        }
        Ok(byte) => Err(Stop::Corrupt(format!("the byte {byte} after the end"))),
    }
}

fn texts(workload: Workload) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(workload.seed);
    let mut text = || {
        let length = random.usize(1..=workload.length);
        (0..length).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])).collect()
    };
    (0..workload.queries).map(|_| text()).collect()
}

async fn send_queries(writer: &mut WriteHalf<'_>, texts: &[String]) -> io::Result<()> {
    for text in texts {
        let sql = format!("select encode(sha256(x::bytea), 'hex') || ' ' || x from (values ('{text}')) v(x)");
        let length = u32::try_from(sql.len() + 5).unwrap();
        writer.write_all(&[b"Q", &length.to_be_bytes()[..], sql.as_bytes(), &[0]].concat()).await?;
    }
    Ok(())
}

async fn verify_answers(reader: &mut ReadHalf<'_>, texts: &[String]) -> Result<(), Stop> {
    for text in texts {
        let digest = hex::encode(Sha256::digest(text));
        until_ready(reader, Some(&format!("{digest} {text}"))).await?;
    }
    Ok(())
}

/// Reads all messages up to ReadyForQuery. The one row, or the part of it before a close, must match `expected`.
async fn until_ready(reader: &mut ReadHalf<'_>, expected: Option<&str>) -> Result<(), Stop> {
    let row = expected.map(|expected| {
        let length = u32::try_from(expected.len()).unwrap();
        [&1_u16.to_be_bytes()[..], &length.to_be_bytes(), expected.as_bytes()].concat()
    });
    let mut rows = 0;
    loop {
        let tag = reader.read_u8().await?;
        let length = reader.read_u32().await? as usize;
        if !(4..LARGEST).contains(&length) {
            return Err(Stop::Corrupt(format!("a message {tag} of {length} bytes")));
        }
        let (body, complete) = read_body(reader, length - 4).await;
        match (tag, &row) {
            (b'D', Some(row)) if row.starts_with(&body) && (!complete || row.len() == body.len()) => {
                rows += 1;
            }
            (b'D', _) => return Err(Stop::Corrupt(format!("another row than expected ({length} bytes)"))),
            (b'E', _) if complete => return Err(refused(&body)),
            (b'Z', _) if complete && rows == usize::from(row.is_some()) => return Ok(()),
            (b'Z', _) if complete => return Err(Stop::Corrupt(format!("{rows} rows"))),
            (b'R' | b'S' | b'K' | b'N' | b'T' | b'C' | b'Z' | b'E', _) => {}
            _ => return Err(Stop::Corrupt(format!("a message {tag} of {length} bytes"))),
        }
        if !complete {
            return Err(Stop::Closed);
        }
    }
}

/// Reads up to `length` bytes. Also returns whether the body is complete.
async fn read_body(reader: &mut ReadHalf<'_>, length: usize) -> (Vec<u8>, bool) {
    let mut body = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match reader.read(&mut body[filled..]).await {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    body.truncate(filled);
    (body, filled == length)
}

fn refused(body: &[u8]) -> Stop {
    let field = |kind| {
        let mut fields = body.split(|byte| *byte == 0);
        let found = fields.find(|field| field.first() == Some(&kind)).unwrap_or_default();
        String::from_utf8_lossy(found.get(1..).unwrap_or_default()).into_owned()
    };
    Stop::Refused { sqlstate: field(b'C'), message: field(b'M') }
}

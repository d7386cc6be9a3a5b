//! An application that knows every byte it has to get back, for connections that may break at any moment.
//!
//! It sends random texts of random lengths in queries, without waiting for the answers. The database returns each text
//! with the SHA-256 of what it got, so a byte that is lost, changed or in the wrong place in either direction is seen.

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

/// The most that is read at once, so that a database that sends nonsense is no reason to run out of memory.
const LARGEST: usize = 1 << 20;

/// Who connects to a loopback port.
#[derive(Clone, Debug)]
pub struct Application {
    pub port: u16,
    pub user: String,
}

/// What a session does.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub queries: usize,
    /// The longest text.
    pub length: usize,
    /// Of the texts.
    pub seed: u64,
    /// How long it waits for an end of any kind.
    pub patience: Duration,
}

/// How a session ended, as the application sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every text came back, and the other side closed after the Terminate.
    Complete,
    /// An ErrorResponse.
    Refused { ready: bool, sqlstate: String, message: String },
    /// The connection was closed or reset before the end.
    Cut { ready: bool },
    /// Nothing more happened.
    Silent { ready: bool },
    /// What must never be: bytes that nobody sent, or in the wrong place.
    Corrupt(String),
}

/// Why it does not go on.
enum Stop {
    Gone,
    Refused { sqlstate: String, message: String },
    Corrupt(String),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Application {
    /// Connects, logs in without a password, does the work and says goodbye.
    pub async fn exchange(self, work: Work) -> Outcome {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return Outcome::Cut { ready: false };
        };
        let _ = stream.set_nodelay(true);
        let mut ready = false;
        let ended = timeout(work.patience, run(&mut stream, &self.user, work, &mut ready)).await;
        match ended {
            Ok(Ok(())) => Outcome::Complete,
            Ok(Err(Stop::Gone)) => Outcome::Cut { ready },
            Ok(Err(Stop::Refused { sqlstate, message })) => Outcome::Refused { ready, sqlstate, message },
            Ok(Err(Stop::Corrupt(what))) => Outcome::Corrupt(what),
            Err(_) => Outcome::Silent { ready },
        }
    }
}

async fn run(stream: &mut TcpStream, user: &str, work: Work, ready: &mut bool) -> Result<(), Stop> {
    let (mut reader, mut writer) = stream.split();
    let greeting = startup(V3_0, &[("user", user), ("database", DATABASE)]);
    // What cannot be sent is no end yet: there may be an error to read.
    let _ = writer.write_all(&greeting).await;
    until_ready(&mut reader, None).await?;
    *ready = true;
    let texts = texts(work);
    let (asked, answered) =
        tokio::join!(ask(&mut writer, &texts), async { answers(&mut reader, &texts).await });
    answered?;
    asked?;
    writer.write_all(&[b'X', 0, 0, 0, 4]).await?;
    match reader.read_u8().await {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        Err(_) => Err(Stop::Gone),
        // A side that the Terminate did not get to may have seen the session break, or idle for too long.
        Ok(b'E') => {
            let length = reader.read_u32().await? as usize;
            if !(4..LARGEST).contains(&length) {
                return Err(Stop::Corrupt(format!("an error of {length} bytes after the end")));
            }
            let (body, whole) = read_body(&mut reader, length - 4).await;
            Err(if whole { refused(&body) } else { Stop::Gone })
        }
        Ok(byte) => Err(Stop::Corrupt(format!("the byte {byte} after the end"))),
    }
}

fn texts(work: Work) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(work.seed);
    let mut text = || {
        let length = random.usize(1..=work.length);
        (0..length).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])).collect()
    };
    (0..work.queries).map(|_| text()).collect()
}

async fn ask(writer: &mut WriteHalf<'_>, texts: &[String]) -> io::Result<()> {
    for text in texts {
        let sql = format!("select encode(sha256(x::bytea), 'hex') || ' ' || x from (values ('{text}')) v(x)");
        let length = u32::try_from(sql.len() + 5).unwrap();
        writer.write_all(&[b"Q", &length.to_be_bytes()[..], sql.as_bytes(), &[0]].concat()).await?;
    }
    Ok(())
}

async fn answers(reader: &mut ReadHalf<'_>, texts: &[String]) -> Result<(), Stop> {
    for text in texts {
        let digest = hex::encode(Sha256::digest(text));
        until_ready(reader, Some(&format!("{digest} {text}"))).await?;
    }
    Ok(())
}

/// All messages up to ReadyForQuery. The one row must be `expected`, also as far as it got to before a cut.
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
        let (body, whole) = read_body(reader, length - 4).await;
        match (tag, &row) {
            (b'D', Some(row)) if row.starts_with(&body) && (!whole || row.len() == body.len()) => rows += 1,
            (b'D', _) => return Err(Stop::Corrupt(format!("another row than expected ({length} bytes)"))),
            (b'E', _) if whole => return Err(refused(&body)),
            (b'Z', _) if whole && rows == usize::from(row.is_some()) => return Ok(()),
            (b'Z', _) if whole => return Err(Stop::Corrupt(format!("{rows} rows"))),
            (b'R' | b'S' | b'K' | b'N' | b'T' | b'C' | b'Z' | b'E', _) => {}
            _ => return Err(Stop::Corrupt(format!("a message {tag} of {length} bytes"))),
        }
        if !whole {
            return Err(Stop::Gone);
        }
    }
}

/// As much of it as there is, and whether that is all.
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

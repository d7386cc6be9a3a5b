//! A session with a database through an engine of this process, as an application has one through a client.

use std::io;
use std::time::Duration;

use bytes::BufMut;
use tokio::io::duplex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::Client;
use crate::net::{Framed, Socket};
use crate::session::{Door, Engine, serve_own};
use crate::shutdown::Shutdown;
use crate::wire::{
    Answer, BackendMessage, DecodeError, EncodeError, ErrorResponse, Header, ProtocolVersion, StartupMessage,
    TERMINATE, encode_query,
};

/// The bytes that may be on their way between this application and the engine.
const BUFFER: usize = 16 * 1024;

/// For the answer to a query, and for the end of a session. The login has the limits of the engine.
const LIMIT: Duration = Duration::from_secs(10);

/// A session that is ready for queries.
pub(super) struct Session {
    app: Framed,
    engine: JoinHandle<()>,
}

/// The names in the startup packet.
pub(super) struct Names<'a> {
    pub(super) target: &'a str,
    pub(super) user: &'a str,
    pub(super) database: &'a str,
}

/// Why there is no session, or no answer.
pub(super) enum Refused {
    /// The error that an application reads.
    Error(ErrorResponse),
    /// The database requests a password, and there is no token to answer with.
    WantsPassword,
    /// The connection broke.
    Broken(String),
}

impl Session {
    /// Logs in.
    pub(super) async fn log_in(engine: Engine<Client>, names: &Names<'_>) -> Result<Self, Refused> {
        let (near, far) = duplex(BUFFER);
        let door = Door::of(names.target);
        let engine = tokio::spawn(async move {
            serve_own(&engine, Socket::Tunnel(Box::new(far)), door, &Shutdown::new()).await;
        });
        let mut session = Self { app: Framed::new(Socket::Tunnel(Box::new(near))), engine };
        startup(names)?.encode(session.app.out())?;
        session.app.flush().await?;
        loop {
            let header = Header::decode(session.app.read_array().await?)?;
            let body = session.app.read_body(header.body_length).await?;
            match BackendMessage::decode(header.tag, body.expose())? {
                BackendMessage::Error(error) => return Err(Refused::Error(error)),
                BackendMessage::Authentication(request) if request.expects_answer() => {
                    return Err(Refused::WantsPassword);
                }
                BackendMessage::ReadyForQuery { .. } => return Ok(session),
                _ => {}
            }
        }
    }

    /// The first value of the last row that the query returns; absent without a row, and for NULL.
    pub(super) async fn query(&mut self, sql: &str) -> Result<Option<String>, Refused> {
        let answered = timeout(LIMIT, self.answer(sql)).await;
        answered.unwrap_or_else(|_| Err(Refused::Broken(format!("no answer within {} s", LIMIT.as_secs()))))
    }

    async fn answer(&mut self, sql: &str) -> Result<Option<String>, Refused> {
        encode_query(sql, self.app.out())?;
        self.app.flush().await?;
        let mut outcome = Ok(None);
        loop {
            let header = Answer::header(self.app.read_array().await?)?;
            let body = self.app.read_body(header.body_length).await?;
            match Answer::decode(header.tag, body.expose())? {
                Answer::Row(value) if outcome.is_ok() => outcome = Ok(value),
                Answer::Error(error) => outcome = Err(Refused::Error(error)),
                Answer::Ready => return outcome,
                Answer::Row(_) | Answer::Other => {}
            }
        }
    }

    /// Ends the session as an application does.
    pub(super) async fn close(mut self) {
        self.app.out().put_slice(TERMINATE);
        // A session that is broken has ended.
        let _sent = self.app.flush().await;
        drop(self.app);
        let _ended = timeout(LIMIT, self.engine).await;
    }
}

fn startup(names: &Names<'_>) -> Result<StartupMessage, EncodeError> {
    let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
    startup.set("user", names.user.as_bytes())?;
    startup.set("database", names.database.as_bytes())?;
    startup.set("application_name", b"rds-auth-proxy doctor")?;
    Ok(startup)
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Broken(format!("the connection broke: {error}"))
    }
}

impl From<DecodeError> for Refused {
    fn from(error: DecodeError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<EncodeError> for Refused {
    fn from(error: EncodeError) -> Self {
        Self::Broken(error.to_string())
    }
}

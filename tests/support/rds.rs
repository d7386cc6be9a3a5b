//! A listener that behaves like an RDS instance and has a real PostgreSQL behind it.
//!
//! It terminates TLS with a certificate of its own. Members of `rds_iam` are asked for the cleartext password, which
//! must be a token for this endpoint; they then reach PostgreSQL over its Unix socket. Everybody else's bytes
//! pass through to PostgreSQL, which asks for the password itself.
//! Source: "IAM database authentication" in the Amazon RDS user guide; what it answers was seen on the wire.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::carry::{Gate, carry};
use super::certificates::Certificate;
use super::identity::Identities;
use super::postgres::Postgres;
use super::protocol::{First, Startup, ask_password, read_first, refuse};
use super::{runtime, token};

/// What it answers to an `SSLRequest`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// `S`; who starts without TLS is refused, as with `rds.force_ssl=1`. Direct TLS is served too.
    #[default]
    Required,
    /// The same, for those who show a certificate of the trusted authority.
    Mutual,
    /// `N`; everything goes on in clear.
    Off,
    /// This byte, and the connection is closed. (`E` is what an old PostgreSQL begins its error with.)
    Answer(u8),
}

/// How to set one up.
pub struct Options {
    /// The name or address clients know it by, part of what tokens are signed for.
    pub host: String,
    /// The loopback address it listens on, and the port (0: any).
    pub address: String,
    pub port: u16,
    pub region: String,
    pub encryption: Encryption,
    pub certificate: Certificate,
}

/// A running listener. Clones are the same one.
#[derive(Clone)]
pub struct Rds {
    pub host: String,
    pub port: u16,
    pub region: String,
    shared: Arc<Shared>,
}

/// What happened on a connection that sent a startup packet.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: String,
    /// All startup parameters, in the order they came.
    pub parameters: Vec<(String, String)>,
    /// What TLS was agreed on, such as `TLSv1_3`; none in clear.
    pub tls: Option<String>,
    /// Whether the user is a member of `rds_iam`.
    pub iam: bool,
    /// Whether the client showed a certificate.
    pub certificate: bool,
    /// The name the client asked for in its first TLS message (SNI).
    pub server_name: Option<String>,
    /// The password an IAM user sent: a token, valid or not.
    pub token: Option<String>,
    /// What was wrong with it.
    pub refusal: Option<String>,
}

struct Shared {
    options: Options,
    tls: TlsAcceptor,
    port: u16,
    postgres: Arc<Postgres>,
    identities: Identities,
    gate: Gate,
    /// That it is to stop listening, and that it has.
    closed: CancellationToken,
    gone: CancellationToken,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    connections: usize,
    cancels: usize,
    logins: Vec<Login>,
    clock_ahead: Duration,
    cut: CancellationToken,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Rds {
    /// Listens on a free port.
    pub async fn start(options: Options, postgres: Arc<Postgres>, identities: Identities) -> Self {
        runtime::within(async move {
            let listener = TcpListener::bind((options.address.as_str(), options.port)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let (host, region) = (options.host.clone(), options.region.clone());
            let (gate, record) = <(Gate, Mutex<Record>)>::default();
            let (closed, gone) = <(CancellationToken, CancellationToken)>::default();
            let tls = TlsAcceptor::from(
                options.certificate.server_config(options.encryption == Encryption::Mutual),
            );
            let shared =
                Arc::new(Shared { options, tls, port, postgres, identities, gate, closed, gone, record });
            tokio::spawn(accept(listener, shared.clone()));
            Self { host, port, region, shared }
        })
        .await
    }

    /// `HOST:PORT`, as RDS reports it and as tokens are signed for it.
    pub fn endpoint(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.shared.record.lock().unwrap().connections
    }

    /// How many cancel requests it has handed on.
    pub fn cancels(&self) -> usize {
        self.shared.record.lock().unwrap().cancels
    }

    /// Every login so far, oldest first.
    pub fn logins(&self) -> Vec<Login> {
        self.shared.record.lock().unwrap().logins.clone()
    }

    /// Every token it was handed.
    pub fn tokens(&self) -> Vec<String> {
        self.logins().into_iter().filter_map(|login| login.token).collect()
    }

    /// Ends all connections; new ones are accepted.
    pub fn cut(&self) {
        std::mem::take(&mut self.shared.record.lock().unwrap().cut).cancel();
    }

    /// Ends all connections and stops listening: the database is gone. Nobody is accepted any more when this returns.
    pub async fn close(&self) {
        self.shared.closed.cancel();
        self.cut();
        self.shared.gone.cancelled().await;
    }

    /// Lets no byte through, on any connection, until [`Rds::resume`]. New connections are accepted, not answered.
    pub fn stall(&self) {
        self.shared.gate.close();
    }

    /// Ends a stall.
    pub fn resume(&self) {
        self.shared.gate.open();
    }

    /// Judges tokens as if it were this much later.
    pub fn set_clock_ahead(&self, ahead: Duration) {
        self.shared.record.lock().unwrap().clock_ahead = ahead;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Some(accepted) = shared.closed.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else { continue };
        let cut = {
            let mut record = shared.record.lock().unwrap();
            record.connections += 1;
            record.cut.clone()
        };
        let shared = shared.clone();
        tokio::spawn(cut.run_until_cancelled_owned(async move {
            // A connection that breaks is the business of the test that broke it.
            let _ = shared.serve(stream).await;
        }));
    }
    drop(listener);
    shared.gone.cancel();
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        self.gate.pass().await;
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first == [0x16] && self.has_tls() {
            return self.serve_tls(stream, true).await;
        }
        loop {
            match read_first(&mut stream).await? {
                First::GssencRequest => stream.write_all(b"N").await?,
                First::SslRequest => match self.options.encryption {
                    Encryption::Required | Encryption::Mutual => {
                        stream.write_all(b"S").await?;
                        return self.serve_tls(stream, false).await;
                    }
                    Encryption::Off => stream.write_all(b"N").await?,
                    Encryption::Answer(byte) => return stream.write_all(&[byte]).await,
                },
                First::CancelRequest(bytes) => return self.cancel(&bytes).await,
                First::Startup(startup) => {
                    let login = Login::new(&startup);
                    return self.login(stream, &startup, login).await;
                }
            }
        }
    }

    /// A client that begins with TLS at once must say `postgresql` by ALPN (PostgreSQL manual, "SSL Session
    /// Encryption"): PostgreSQL closes the connection of one that does not.
    async fn serve_tls(&self, stream: TcpStream, direct: bool) -> io::Result<()> {
        let mut stream = self.tls.accept(stream).await?;
        let session = stream.get_ref().1;
        if direct && session.alpn_protocol() != Some(b"postgresql") {
            return Ok(());
        }
        let tls = session.protocol_version().map(|version| format!("{version:?}"));
        let server_name = session.server_name().map(str::to_owned);
        let certificate = session.peer_certificates().is_some();
        match read_first(&mut stream).await? {
            First::CancelRequest(bytes) => self.cancel(&bytes).await,
            First::Startup(startup) => {
                let login = Login { tls, certificate, server_name, ..Login::new(&startup) };
                self.login(stream, &startup, login).await
            }
            First::SslRequest | First::GssencRequest => {
                refuse(&mut stream, "08P01", "unsupported frontend protocol 1234.5679").await
            }
        }
    }

    fn has_tls(&self) -> bool {
        matches!(self.options.encryption, Encryption::Required | Encryption::Mutual)
    }

    async fn login(&self, mut stream: impl Stream, startup: &Startup, mut login: Login) -> io::Result<()> {
        let user = startup.user().to_owned();
        if login.tls.is_none() && self.has_tls() {
            let database = startup.find("database").unwrap_or(&user);
            let text = format!(
                r#"no pg_hba.conf entry for host "127.0.0.1", user "{user}", database "{database}", no encryption"#
            );
            self.note(Login { refusal: Some("no TLS".into()), ..login });
            return refuse(&mut stream, "28000", &text).await;
        }
        if !self.postgres.uses_iam(&user).await {
            self.note(login);
            let database = TcpStream::connect(("127.0.0.1", self.postgres.port)).await?;
            database.set_nodelay(true)?;
            return self.pass_on(stream, database, startup).await;
        }
        login.iam = true;
        let index = self.note(login.clone());
        let token = ask_password(&mut stream).await?;
        login.refusal = self.judge(&user, &token).err();
        login.token = Some(token);
        let refused = login.refusal.is_some();
        self.record.lock().unwrap().logins[index] = login;
        if refused {
            let text = format!(r#"PAM authentication failed for user "{user}""#);
            return refuse(&mut stream, "28000", &text).await;
        }
        let socket = self.postgres.socket_directory.join(format!(".s.PGSQL.{}", self.postgres.port));
        self.pass_on(stream, UnixStream::connect(socket).await?, startup).await
    }

    fn judge(&self, user: &str, token: &str) -> Result<(), String> {
        let endpoint = format!("{}:{}", self.options.host, self.port);
        let now = SystemTime::now() + self.record.lock().unwrap().clock_ahead;
        let expected = token::Expected { endpoint: &endpoint, region: &self.options.region, user, now };
        token::verify(token, &expected, &self.identities)
    }

    async fn pass_on(
        &self,
        stream: impl Stream,
        mut database: impl Stream,
        startup: &Startup,
    ) -> io::Result<()> {
        database.write_all(&startup.bytes).await?;
        carry(stream, database, &self.gate).await
    }

    async fn cancel(&self, bytes: &[u8]) -> io::Result<()> {
        self.record.lock().unwrap().cancels += 1;
        let mut database = TcpStream::connect(("127.0.0.1", self.postgres.port)).await?;
        database.write_all(bytes).await?;
        // PostgreSQL answers nothing and closes once it has signalled.
        tokio::io::copy(&mut database, &mut tokio::io::sink()).await.map(drop)
    }

    fn note(&self, login: Login) -> usize {
        let logins = &mut self.record.lock().unwrap().logins;
        logins.push(login);
        logins.len() - 1
    }
}

impl Login {
    /// The value of a startup parameter.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn new(startup: &Startup) -> Self {
        Self {
            user: startup.user().to_owned(),
            parameters: startup.parameters.clone(),
            tls: None,
            certificate: false,
            iam: false,
            server_name: None,
            token: None,
            refusal: None,
        }
    }
}

//! A fake RDS instance: a listener that behaves like RDS in front of a real PostgreSQL.
//!
//! It terminates TLS with its own certificate. From members of `rds_iam` it requests a cleartext password, which must
//! be a token for this endpoint, and then connects them to PostgreSQL over its Unix socket. Bytes of other users go to
//! PostgreSQL unchanged, which authenticates them. A cluster of Aurora DSQL differs in the form of its tokens.
//! Source: "IAM database authentication" in the Amazon RDS user guide; the answers are those that RDS sends on the wire.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::certificates::Certificate;
use super::gate::{Gate, splice};
use super::identity::Identities;
use super::postgres::Postgres;
use super::protocol::{FirstPacket, Startup, read_first, refuse, request_password};
use super::runtime;
use super::token::{self, Service};

/// The answer to an `SSLRequest`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// `S`; a startup packet without TLS is refused, as with `rds.force_ssl=1`. Direct TLS is accepted too.
    #[default]
    Required,
    /// `S`; a client certificate of the trusted authority is required.
    Mutual,
    /// `N`; the connection continues in clear text.
    Off,
    /// This byte, and the connection is closed. (An old PostgreSQL begins its error with `E`.)
    Answer(u8),
}

/// Settings of a fake RDS instance.
pub struct Options {
    /// The host name or address in its endpoint, for which tokens are signed.
    pub host: String,
    /// The loopback address to listen on.
    pub address: String,
    /// The port to listen on; 0 for a free one.
    pub port: u16,
    pub region: String,
    pub encryption: Encryption,
    pub certificate: Certificate,
    /// The service whose tokens it accepts.
    pub service: Service,
}

/// A running instance. Clones share it.
#[derive(Clone)]
pub struct FakeRds {
    pub host: String,
    pub port: u16,
    pub region: String,
    shared: Arc<Shared>,
}

/// The record of a connection that sent a startup packet.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: String,
    /// All startup parameters, in the order sent.
    pub parameters: Vec<(String, String)>,
    /// The TLS version, such as `TLSv1_3`; none without TLS.
    pub tls: Option<String>,
    /// Whether the user is a member of `rds_iam`.
    pub iam: bool,
    /// Whether the client sent a certificate.
    pub certificate: bool,
    /// The server name that the client sent (SNI).
    pub server_name: Option<String>,
    /// The password that an IAM user sent: a token, valid or not.
    pub token: Option<String>,
    /// Why the token was refused.
    pub refusal: Option<String>,
}

struct Shared {
    options: Options,
    tls: TlsAcceptor,
    port: u16,
    postgres: Arc<Postgres>,
    identities: Identities,
    gate: Gate,
    /// Cancelled to stop the listener.
    stop: CancellationToken,
    /// Cancelled once the listener has stopped.
    stopped: CancellationToken,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    connections: usize,
    cancels: usize,
    logins: Vec<Login>,
    clock_ahead: Duration,
    /// The account whose tokens it accepts; absent: all.
    account: Option<String>,
    /// Cancelled to close the connections accepted so far.
    connections_dropped: CancellationToken,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl FakeRds {
    /// Starts to listen.
    pub async fn start(options: Options, postgres: Arc<Postgres>, identities: Identities) -> Self {
        runtime::within(async move {
            let listener = TcpListener::bind((options.address.as_str(), options.port)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let (host, region) = (options.host.clone(), options.region.clone());
            let (gate, record) = <(Gate, Mutex<Record>)>::default();
            let (stop, stopped) = <(CancellationToken, CancellationToken)>::default();
            let tls = TlsAcceptor::from(
                options.certificate.server_config(options.encryption == Encryption::Mutual),
            );
            let shared =
                Arc::new(Shared { options, tls, port, postgres, identities, gate, stop, stopped, record });
            tokio::spawn(accept(listener, shared.clone()));
            Self { host, port, region, shared }
        })
        .await
    }

    /// `HOST:PORT`, as in the RDS API and in tokens.
    pub fn endpoint(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The number of accepted connections.
    pub fn connections(&self) -> usize {
        self.shared.record.lock().unwrap().connections
    }

    /// The number of forwarded cancel requests.
    pub fn cancels(&self) -> usize {
        self.shared.record.lock().unwrap().cancels
    }

    /// All logins, oldest first.
    pub fn logins(&self) -> Vec<Login> {
        self.shared.record.lock().unwrap().logins.clone()
    }

    /// All tokens received, oldest first.
    pub fn tokens(&self) -> Vec<String> {
        self.logins().into_iter().filter_map(|login| login.token).collect()
    }

    /// Closes all connections; new ones are accepted.
    pub fn drop_connections(&self) {
        std::mem::take(&mut self.shared.record.lock().unwrap().connections_dropped).cancel();
    }

    /// Closes all connections and stops listening. No connection is accepted after this returns.
    pub async fn shut_down(&self) {
        self.shared.stop.cancel();
        self.drop_connections();
        self.shared.stopped.cancelled().await;
    }

    /// Holds back the bytes of all connections until [`FakeRds::resume`]. New connections are accepted but get no answer.
    pub fn stall(&self) {
        self.shared.gate.close();
    }

    /// Ends a stall.
    pub fn resume(&self) {
        self.shared.gate.open();
    }

    /// Accepts only tokens of this account from now on.
    pub fn accept_only(&self, account: &str) {
        self.shared.record.lock().unwrap().account = Some(account.to_owned());
    }

    /// Verifies tokens as if the time were `ahead` later.
    pub fn set_clock_ahead(&self, ahead: Duration) {
        self.shared.record.lock().unwrap().clock_ahead = ahead;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Some(accepted) = shared.stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else { continue };
        let dropped = {
            let mut record = shared.record.lock().unwrap();
            record.connections += 1;
            record.connections_dropped.clone()
        };
        let shared = shared.clone();
        tokio::spawn(dropped.run_until_cancelled_owned(async move {
            // The test that breaks a connection checks the consequences itself.
            let _ = shared.serve(stream).await;
        }));
    }
    drop(listener);
    shared.stopped.cancel();
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
                FirstPacket::GssencRequest => stream.write_all(b"N").await?,
                FirstPacket::SslRequest => match self.options.encryption {
                    Encryption::Required | Encryption::Mutual => {
                        stream.write_all(b"S").await?;
                        return self.serve_tls(stream, false).await;
                    }
                    Encryption::Off => stream.write_all(b"N").await?,
                    Encryption::Answer(byte) => return stream.write_all(&[byte]).await,
                },
                FirstPacket::CancelRequest(bytes) => return self.cancel(&bytes).await,
                FirstPacket::Startup(startup) => {
                    let login = Login::new(&startup);
                    return self.login(stream, &startup, login).await;
                }
            }
        }
    }

    /// Direct TLS requires the ALPN name `postgresql` (PostgreSQL manual, "SSL Session Encryption"): PostgreSQL closes
    /// the connection of a client without it.
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
            FirstPacket::CancelRequest(bytes) => self.cancel(&bytes).await,
            FirstPacket::Startup(startup) => {
                let login = Login { tls, certificate, server_name, ..Login::new(&startup) };
                self.login(stream, &startup, login).await
            }
            FirstPacket::SslRequest | FirstPacket::GssencRequest => {
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
            self.add_login(Login { refusal: Some("no TLS".into()), ..login });
            return refuse(&mut stream, "28000", &text).await;
        }
        if !self.postgres.uses_iam(&user).await {
            self.add_login(login);
            let database = TcpStream::connect(("127.0.0.1", self.postgres.port)).await?;
            database.set_nodelay(true)?;
            return self.splice_to(stream, database, startup).await;
        }
        login.iam = true;
        let index = self.add_login(login.clone());
        let token = request_password(&mut stream).await?;
        login.refusal = self.verify(&user, &token).err();
        login.token = Some(token);
        let refused = login.refusal.is_some();
        self.record.lock().unwrap().logins[index] = login;
        if refused {
            let text = format!(r#"PAM authentication failed for user "{user}""#);
            return refuse(&mut stream, "28000", &text).await;
        }
        let socket = self.postgres.socket_directory.join(format!(".s.PGSQL.{}", self.postgres.port));
        self.splice_to(stream, UnixStream::connect(socket).await?, startup).await
    }

    fn verify(&self, user: &str, token: &str) -> Result<(), String> {
        let Options { host, region, service, .. } = &self.options;
        let endpoint = match service {
            Service::Rds => format!("{host}:{}", self.port),
            Service::Dsql => host.clone(),
        };
        let now = SystemTime::now() + self.record.lock().unwrap().clock_ahead;
        let expected = token::Expected { service: *service, endpoint: &endpoint, region, user, now };
        token::verify(token, &expected, &self.identities)?;
        let (signer, own) =
            (token::signer(token, &self.identities), self.record.lock().unwrap().account.clone());
        match (signer, own) {
            (Some(key), Some(own)) if key.account() != own => {
                Err(format!("access key {} is not of the account {own}", key.id))
            }
            _ => Ok(()),
        }
    }

    async fn splice_to(
        &self,
        stream: impl Stream,
        mut database: impl Stream,
        startup: &Startup,
    ) -> io::Result<()> {
        database.write_all(&startup.bytes).await?;
        splice(stream, database, &self.gate).await
    }

    async fn cancel(&self, bytes: &[u8]) -> io::Result<()> {
        self.record.lock().unwrap().cancels += 1;
        let mut database = TcpStream::connect(("127.0.0.1", self.postgres.port)).await?;
        database.write_all(bytes).await?;
        // PostgreSQL sends no answer and closes after it signalled the backend.
        tokio::io::copy(&mut database, &mut tokio::io::sink()).await.map(drop)
    }

    fn add_login(&self, login: Login) -> usize {
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

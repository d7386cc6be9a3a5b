//! Step 5, authenticate: the login at the hop, until it is ready for queries.

use bytes::BufMut;
use postgres_protocol::authentication::sasl::SCRAM_SHA_256_PLUS;

use super::deadline::Deadline;
use super::explain::{Circumstances, explain, misses_channel_binding};
use super::message::{FromHop, flush_to_app, flush_to_hop, read_from_hop, read_password};
use super::password::Exchange;
use super::{Failure, Fault};
use crate::net::Framed;
use crate::secret::{Secret, make_room};
use crate::tls::SslMode;
use crate::wire::{Authentication, BackendMessage, CancelRequest, ErrorResponse, Header, StartupMessage};

/// The most a hop may say before the login is over. PostgreSQL sends some hundred bytes, and notices of login
/// triggers.
const MOST_LOGIN_BYTES: usize = 1024 * 1024;

/// How much is collected before the application gets it.
const ENOUGH_TO_SEND: usize = 16 * 1024;

/// What is known about the login before it begins.
pub(super) struct Attempt<'a> {
    /// The packet for the hop.
    pub(super) startup: StartupMessage,
    /// What to answer a password request with; without it the application is asked.
    pub(super) password: Option<&'a Secret>,
    /// Who signed the IAM token, where one is used.
    pub(super) identity: Option<&'a str>,
    /// How the hop is called in errors.
    pub(super) hop_name: &'a str,
    /// The hop is reached in clear, and only because it has no TLS: no password may go there.
    pub(super) unprotected: bool,
}

/// Two sides in the middle of a login.
struct Conversation<'a> {
    app: &'a mut Framed,
    hop: &'a mut Framed,
    hop_name: &'a str,
    user: String,
    unprotected: bool,
    identity: Option<&'a str>,
    withheld_binding: bool,
    lost_binding: bool,
    cancel: Option<CancelRequest>,
}

/// Logs in. Returns what a later cancel request has to name, if the hop told it.
pub(super) async fn authenticate(
    app: &mut Framed,
    hop: &mut Framed,
    attempt: Attempt<'_>,
    deadline: &mut Deadline,
) -> Result<Option<CancelRequest>, Failure> {
    let Attempt { startup, password, identity, hop_name, unprotected } = attempt;
    let user_bytes = startup.get("user").unwrap_or_default().to_vec();
    let user = String::from_utf8_lossy(&user_bytes).into_owned();
    let mut exchange = password.map(|password| Exchange::new(password, &user_bytes, hop_name));

    startup.encode(hop.out()).map_err(Failure::Startup)?;
    drop(startup);
    deadline.within("sending the startup packet", flush_to_hop(hop, hop_name)).await?;

    let mut conversation = Conversation {
        app,
        hop,
        hop_name,
        user,
        identity,
        unprotected,
        withheld_binding: false,
        lost_binding: false,
        cancel: None,
    };
    let mut heard = 0;
    loop {
        let doing = "waiting for the database to finish the login";
        let message = deadline.within(doing, read_from_hop(conversation.hop, hop_name)).await?;
        heard += Header::LENGTH + message.body.len();
        if heard > MOST_LOGIN_BYTES {
            return Err(Failure::EndlessLogin { hop: hop_name.to_owned(), limit: MOST_LOGIN_BYTES });
        }
        if conversation.handle(&message, exchange.as_mut(), deadline).await? {
            return Ok(conversation.cancel);
        }
    }
}

impl Conversation<'_> {
    /// Handles one message of the hop. Returns whether the login is over.
    async fn handle(
        &mut self,
        message: &FromHop,
        exchange: Option<&mut Exchange<'_>>,
        deadline: &mut Deadline,
    ) -> Result<bool, Failure> {
        let hop = self.hop_name;
        let broken = |source| Failure::HopProtocol { hop: hop.to_owned(), source };
        match BackendMessage::decode(message.tag, message.body.expose()).map_err(broken)? {
            BackendMessage::Authentication(request) => match exchange {
                Some(exchange) => self.answer(&request, exchange, deadline).await?,
                None => self.ask(request, deadline).await?,
            },
            BackendMessage::Error(error) => return Err(self.refuse(error, deadline).await?),
            BackendMessage::BackendKeyData { process_id, key } => {
                self.cancel = Some(CancelRequest { process_id, key });
                self.relay(message);
            }
            BackendMessage::ReadyForQuery { .. } => {
                self.relay(message);
                self.flush_to_app(deadline).await?;
                return Ok(true);
            }
            BackendMessage::Notice(_)
            | BackendMessage::ParameterStatus { .. }
            | BackendMessage::NegotiateProtocolVersion { .. } => self.relay(message),
        }
        if self.app.out().len() >= ENOUGH_TO_SEND {
            self.flush_to_app(deadline).await?;
        }
        Ok(false)
    }

    /// Answers a password request ourselves; the application only hears that it was let in.
    async fn answer(
        &mut self,
        request: &Authentication<'_>,
        exchange: &mut Exchange<'_>,
        deadline: &Deadline,
    ) -> Result<(), Failure> {
        if exchange.answer(request, self.hop).await? {
            return deadline.within("sending the password", flush_to_hop(self.hop, self.hop_name)).await;
        }
        if *request == Authentication::Ok {
            self.encode_for_app(request)?;
        }
        Ok(())
    }

    /// Passes a password request on, and the application's answer back.
    async fn ask(&mut self, request: Authentication<'_>, deadline: &mut Deadline) -> Result<(), Failure> {
        let request = match request {
            Authentication::Sasl { mechanisms } => self.without_binding(&mechanisms)?,
            Authentication::CleartextPassword | Authentication::Md5Password { .. } if self.unprotected => {
                return Err(Failure::NoTls { hop: self.hop_name.to_owned(), mode: SslMode::Prefer });
            }
            Authentication::Other { code, .. } => {
                return Err(Failure::UnsupportedMethod { hop: self.hop_name.to_owned(), code });
            }
            other => other,
        };
        self.encode_for_app(&request)?;
        if !request.expects_answer() {
            return Ok(());
        }
        self.flush_to_app(deadline).await?;
        let answer = deadline.while_asking(read_password(self.app)).await?;
        self.lost_binding |= self.withheld_binding && misses_channel_binding(answer.expose());
        make_room(self.hop.out(), answer.len());
        self.hop.out().put_slice(answer.expose());
        deadline.within("sending the password", flush_to_hop(self.hop, self.hop_name)).await
    }

    /// An application cannot bind its login to the database's TLS session, since that one is ours: libpq refuses the
    /// offer in clear, and over our TLS the binding would be to the wrong certificate.
    fn without_binding<'m>(&mut self, offered: &[&'m str]) -> Result<Authentication<'m>, Failure> {
        let mechanisms: Vec<_> =
            offered.iter().copied().filter(|mechanism| *mechanism != SCRAM_SHA_256_PLUS).collect();
        if mechanisms.is_empty() {
            let offered = offered.join(", ");
            return Err(Failure::UnsupportedSasl { hop: self.hop_name.to_owned(), offered });
        }
        self.withheld_binding = mechanisms.len() < offered.len();
        Ok(Authentication::Sasl { mechanisms })
    }

    /// Passes the hop's refusal on, with a hint where we know more.
    async fn refuse(&mut self, mut error: ErrorResponse, deadline: &Deadline) -> Result<Failure, Failure> {
        let circumstances =
            Circumstances { user: &self.user, identity: self.identity, lost_binding: self.lost_binding };
        explain(&mut error, &circumstances);
        error.encode(self.app.out());
        self.flush_to_app(deadline).await?;
        Ok(Failure::Refused {
            hop: self.hop_name.to_owned(),
            sqlstate: error.sqlstate().unwrap_or_default().into_owned(),
            message: error.message().unwrap_or_default().into_owned(),
        })
    }

    fn relay(&mut self, message: &FromHop) {
        Header { tag: message.tag, body_length: message.body.len() }.encode(self.app.out());
        self.app.out().put_slice(message.body.expose());
    }

    fn encode_for_app(&mut self, request: &Authentication<'_>) -> Result<(), Failure> {
        request.encode(self.app.out()).map_err(|source| Failure::Password { source })
    }

    async fn flush_to_app(&mut self, deadline: &Deadline) -> Result<(), Failure> {
        let doing = "telling the application about the login";
        deadline.blaming(Fault::Application, doing, flush_to_app(self.app)).await
    }
}

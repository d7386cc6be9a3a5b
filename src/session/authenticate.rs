//! Step 5, authenticate: the login at the hop, until it is ready for queries.

use bytes::BufMut;
use postgres_protocol::authentication::sasl::SCRAM_SHA_256_PLUS;

use super::connect::HopStream;
use super::deadline::Deadline;
use super::explain::{Circumstances, explain, misses_channel_binding};
use super::message::{FromHop, flush_to_app, flush_to_hop, read_from_hop, read_password};
use super::password::Exchange;
use super::{Failure, Fault, Login};
use crate::net::Framed;
use crate::secret::make_room;
use crate::wire::{Authentication, BackendMessage, CancelRequest, ErrorResponse, Header};

/// The most bytes that a hop may send before the login is over. PostgreSQL sends some hundred, and the notices of login
/// triggers.
const MAX_LOGIN_BYTES: usize = 1024 * 1024;

/// How many bytes are collected before they are sent to the application.
const FLUSH_AT: usize = 16 * 1024;

/// Two sides in the middle of a login.
struct Conversation<'a> {
    app: &'a mut Framed,
    hop: &'a mut HopStream,
    login: &'a Login,
    user: String,
    /// The hop offered channel binding, and the application did not see the offer.
    binding_withheld: bool,
    /// The application could have used it.
    binding_missed: bool,
    cancel: Option<CancelRequest>,
}

/// Logs in. Returns what a later cancel request has to name, if the hop sent it.
pub(super) async fn authenticate(
    app: &mut Framed,
    hop: &mut HopStream,
    login: &Login,
    deadline: &mut Deadline,
) -> Result<Option<CancelRequest>, Failure> {
    if login.has_password() {
        hop.check_password_allowed()?;
    }
    let name = hop.name.clone();
    let user = login.startup.get("user").unwrap_or_default();
    let mut exchange = login.password.as_ref().map(|password| Exchange::new(password, user, &name));
    login.startup.encode(hop.framed.out()).map_err(Failure::Startup)?;
    deadline.within("sending the startup packet", flush_to_hop(&mut hop.framed, &name)).await?;

    let user = String::from_utf8_lossy(user).into_owned();
    let (binding_withheld, binding_missed, cancel) = (false, false, None);
    let mut conversation = Conversation { app, hop, login, user, binding_withheld, binding_missed, cancel };
    let mut received = 0;
    loop {
        let doing = "waiting for the database to finish the login";
        let reading = read_from_hop(&mut conversation.hop.framed, &name);
        let message = deadline.within(doing, reading).await?;
        received += Header::LENGTH + message.body.len();
        if received > MAX_LOGIN_BYTES {
            return Err(Failure::EndlessLogin { hop: name, limit: MAX_LOGIN_BYTES });
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
        let invalid = |source| Failure::HopProtocol { hop: self.hop.name.clone(), source };
        match BackendMessage::decode(message.tag, message.body.expose()).map_err(invalid)? {
            BackendMessage::Authentication(request) => match exchange {
                Some(exchange) => self.answer(&request, exchange, deadline).await?,
                None => self.relay_request(request, deadline).await?,
            },
            BackendMessage::Error(error) => return Err(self.relay_refusal(error, deadline).await?),
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
        if self.app.out().len() >= FLUSH_AT {
            self.flush_to_app(deadline).await?;
        }
        Ok(false)
    }

    /// Answers a password request; the application receives `AuthenticationOk` only.
    async fn answer(
        &mut self,
        request: &Authentication<'_>,
        exchange: &mut Exchange<'_>,
        deadline: &Deadline,
    ) -> Result<(), Failure> {
        if exchange.answer(request, &mut self.hop.framed).await? {
            return self.flush_to_hop(deadline).await;
        }
        if *request == Authentication::Ok {
            self.encode_for_app(request)?;
        }
        Ok(())
    }

    /// Relays a password request to the application, and the answer to the hop.
    async fn relay_request(
        &mut self,
        request: Authentication<'_>,
        deadline: &mut Deadline,
    ) -> Result<(), Failure> {
        let request = match request {
            Authentication::Sasl { mechanisms } => self.without_binding(&mechanisms)?,
            Authentication::CleartextPassword | Authentication::Md5Password { .. } => {
                self.hop.check_password_allowed()?;
                request
            }
            Authentication::Other { code, .. } => {
                return Err(Failure::UnsupportedMethod { hop: self.hop.name.clone(), code });
            }
            Authentication::Ok | Authentication::SaslContinue(_) | Authentication::SaslFinal(_) => request,
        };
        self.encode_for_app(&request)?;
        if !request.expects_answer() {
            return Ok(());
        }
        self.flush_to_app(deadline).await?;
        let answer = deadline.while_application_answers(read_password(self.app)).await?;
        self.binding_missed |= self.binding_withheld && misses_channel_binding(answer.expose());
        let out = self.hop.framed.out();
        make_room(out, answer.len());
        out.put_slice(answer.expose());
        self.flush_to_hop(deadline).await
    }

    /// An application cannot bind its login to the database's TLS session, which is the proxy's: libpq refuses the offer in
    /// clear text, and over the proxy's TLS it would bind to the wrong certificate.
    fn without_binding<'m>(&mut self, offered: &[&'m str]) -> Result<Authentication<'m>, Failure> {
        let mechanisms: Vec<_> =
            offered.iter().copied().filter(|mechanism| *mechanism != SCRAM_SHA_256_PLUS).collect();
        if mechanisms.is_empty() {
            let offered = offered.join(", ");
            return Err(Failure::UnsupportedSasl { hop: self.hop.name.clone(), offered });
        }
        self.binding_withheld = mechanisms.len() < offered.len();
        Ok(Authentication::Sasl { mechanisms })
    }

    /// Relays the hop's refusal, with a hint where more is known.
    async fn relay_refusal(
        &mut self,
        mut error: ErrorResponse,
        deadline: &Deadline,
    ) -> Result<Failure, Failure> {
        let circumstances = Circumstances {
            user: &self.user,
            identity: self.login.identity.as_deref(),
            binding_missed: self.binding_missed,
        };
        explain(&mut error, &circumstances);
        error.encode(self.app.out());
        self.flush_to_app(deadline).await?;
        Ok(Failure::Refused {
            hop: self.hop.name.clone(),
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
        let doing = "sending the result of the login to the application";
        deadline.blaming(Fault::Application, doing, flush_to_app(self.app)).await
    }

    async fn flush_to_hop(&mut self, deadline: &Deadline) -> Result<(), Failure> {
        deadline.within("sending the password", flush_to_hop(&mut self.hop.framed, &self.hop.name)).await
    }
}

//! Step 5, authenticate: the login at the hop, until it is ready for queries.

use std::time::SystemTime;

use bytes::BufMut;

use super::client_version::encode_startup;
use super::connect::HopStream;
use super::deadline::Deadline;
use super::logins::LoginPermit;
use super::message::{FromHop, flush_to_app, flush_to_hop, read_from_hop};
use super::password::Exchange;
use super::{Failure, Fault, Login};
use crate::catalog::AuthMethod;
use crate::net::Framed;
use crate::wire::{Authentication, BackendMessage, CancelRequest, Header, LoginState};

/// The most bytes that a hop may send before the login is over. PostgreSQL sends some hundred, and the notices of login
/// triggers.
const MAX_LOGIN_BYTES: usize = 1024 * 1024;

/// How many bytes are collected before they are sent to the application.
const FLUSH_AT: usize = 16 * 1024;

/// Two sides in the middle of a login.
pub(super) struct Conversation<'a> {
    pub(super) app: &'a mut Framed,
    pub(super) hop: &'a mut HopStream,
    pub(super) login: &'a Login,
    pub(super) permit: &'a LoginPermit,
    pub(super) user: String,
    /// The hop offered channel binding, and the application did not see the offer.
    pub(super) binding_withheld: bool,
    /// The application could have used it.
    pub(super) binding_missed: bool,
    /// When the IAM token was signed, where another process signed it.
    pub(super) signed: Option<SystemTime>,
    state: LoginState,
    /// The password travelled in clear text, as that of an IAM login does.
    pub(super) cleartext: bool,
    cancel: Option<CancelRequest>,
}

/// The result of a login.
pub(super) struct LoggedIn {
    /// What a later cancel request has to name, if the hop sent it.
    pub(super) cancel: Option<CancelRequest>,
    /// Whether the database verified an IAM token: it has IAM authentication, requested the password in clear text, and let the
    /// session in.
    pub(super) iam_verified: bool,
}

/// Logs in at the hop.
pub(super) async fn authenticate(
    app: &mut Framed,
    hop: &mut HopStream,
    login: &Login,
    permit: &LoginPermit,
    deadline: &mut Deadline,
) -> Result<LoggedIn, Failure> {
    if login.has_password() {
        hop.check_password_allowed()?;
    }
    let name = hop.name.clone();
    let user = login.startup.get("user").unwrap_or_default();
    let mut exchange = login.password.as_ref().map(|password| Exchange::new(password, user, &name));
    encode_startup(&login.startup, hop)?;
    deadline.within("sending the startup packet to", &name, flush_to_hop(&mut hop.framed, &name)).await?;

    let user = String::from_utf8_lossy(user).into_owned();
    let mut conversation = Conversation {
        app,
        hop,
        login,
        permit,
        user,
        binding_withheld: false,
        binding_missed: false,
        signed: login.signed,
        state: LoginState::Start,
        cleartext: false,
        cancel: None,
    };
    let mut received = 0;
    loop {
        let reading = read_from_hop(&mut conversation.hop.framed, &name);
        let message = deadline.while_hop_answers(&name, reading).await?;
        received += Header::LENGTH + message.body.len();
        if received > MAX_LOGIN_BYTES {
            return Err(Failure::EndlessLogin(name, MAX_LOGIN_BYTES));
        }
        if conversation.handle(&message, exchange.as_mut(), deadline).await? {
            let iam_verified = login.iam.is_some() && conversation.cleartext;
            return Ok(LoggedIn { cancel: conversation.cancel, iam_verified });
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
            BackendMessage::Authentication(request) => {
                self.check(&request)?;
                match exchange {
                    Some(exchange) => self.answer(&request, exchange, deadline).await?,
                    None => self.relay_request(request, deadline).await?,
                }
            }
            BackendMessage::Error(error) => return Err(self.relay_refusal(error, deadline).await?),
            BackendMessage::BackendKeyData { .. } | BackendMessage::ReadyForQuery { .. }
                if !self.state.is_done() =>
            {
                return Err(self.out_of_order("it began the session without AuthenticationOk"));
            }
            BackendMessage::BackendKeyData { process_id, key } => {
                self.cancel = Some(CancelRequest { process_id, key });
                self.relay(message);
            }
            BackendMessage::ReadyForQuery { .. } => {
                // Not earlier: before AuthenticationOk libpq accepts no notice (`PQconnectPoll` in `fe-connect.c`).
                if let Some(notice) = &self.login.notice {
                    notice.encode_as_notice(self.app.out());
                }
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

    /// Checks the order of the hop's messages and whether it may use the method.
    fn check(&mut self, request: &Authentication<'_>) -> Result<(), Failure> {
        let before = self.state;
        self.state = before.after(request).map_err(|reason| self.out_of_order(reason))?;
        let method = match request {
            Authentication::Md5Password { .. } => AuthMethod::Md5,
            Authentication::Sasl { mechanisms }
                if mechanisms.iter().any(|name| name.starts_with("SCRAM-")) =>
            {
                AuthMethod::ScramSha256
            }
            // Other mechanisms hand a secret over, as OAUTHBEARER does.
            Authentication::CleartextPassword | Authentication::Sasl { .. } => AuthMethod::Password,
            Authentication::Ok if before == LoginState::Start => AuthMethod::None,
            Authentication::Ok
            | Authentication::SaslContinue(_)
            | Authentication::SaslFinal(_)
            | Authentication::Other { .. } => return Ok(()),
        };
        self.cleartext = *request == Authentication::CleartextPassword;
        if matches!(method, AuthMethod::Password | AuthMethod::Md5) {
            self.hop.check_password_allowed()?;
        }
        self.hop.check_method(method, self.login.no_token.as_ref().filter(|_| self.cleartext))
    }

    /// Answers a password request; the application receives `AuthenticationOk` only.
    async fn answer(
        &mut self,
        request: &Authentication<'_>,
        exchange: &mut Exchange<'_>,
        deadline: &Deadline,
    ) -> Result<(), Failure> {
        if exchange.answer(request, self.hop).await? {
            return self.flush_to_hop(deadline).await;
        }
        if *request == Authentication::Ok {
            self.encode_for_app(request)?;
        }
        Ok(())
    }

    pub(super) fn out_of_order(&self, reason: &'static str) -> Failure {
        Failure::LoginOrder { hop: self.hop.name.clone(), reason }
    }

    fn relay(&mut self, message: &FromHop) {
        Header { tag: message.tag, body_length: message.body.len() }.encode(self.app.out());
        self.app.out().put_slice(message.body.expose());
    }

    pub(super) fn encode_for_app(&mut self, request: &Authentication<'_>) -> Result<(), Failure> {
        request.encode(self.app.out()).map_err(Failure::Password)
    }

    pub(super) async fn flush_to_app(&mut self, deadline: &Deadline) -> Result<(), Failure> {
        let doing = "sending the result of the login to the application";
        deadline.blaming(Fault::Application, doing, flush_to_app(self.app)).await
    }

    pub(super) async fn flush_to_hop(&mut self, deadline: &Deadline) -> Result<(), Failure> {
        let name = &self.hop.name;
        deadline.within("sending the password to", name, flush_to_hop(&mut self.hop.framed, name)).await
    }
}

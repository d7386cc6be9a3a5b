//! The part of a login that the application takes part in: a password request and its answer, and the hop's refusal.

use std::time::SystemTime;

use bytes::BufMut;

use super::Failure;
use super::authenticate::Conversation;
use super::deadline::Deadline;
use super::explain::{Circumstances, WrongClock, add_hint, explain, refuses_credential};
use super::message::{read_from_hop, read_password};
use super::response::{CLEARTEXT_NOT_ALLOWED, OWN_ERROR};
use crate::catalog::TokenError;
use crate::secret::{Secret, make_room};
use crate::wire::{Authentication, BackendMessage, ErrorResponse, Header, decode_password};

impl Conversation<'_> {
    /// Relays a password request to the application, and the answer to the hop.
    pub(super) async fn relay_request(
        &mut self,
        request: Authentication<'_>,
        deadline: &mut Deadline,
    ) -> Result<(), Failure> {
        if self.login.sends_password() && request.expects_answer() {
            return Err(Failure::SecondPasswordRequest(self.hop.name.clone()));
        }
        let request = match request {
            Authentication::Sasl { mechanisms } => self.offer(&mechanisms)?,
            Authentication::Other { code, .. } => {
                return Err(Failure::UnsupportedMethod(self.hop.name.clone(), code));
            }
            Authentication::CleartextPassword
            | Authentication::Md5Password { .. }
            | Authentication::Ok
            | Authentication::SaslContinue(_)
            | Authentication::SaslFinal(_) => request,
        };
        self.encode_for_app(&request)?;
        if !request.expects_answer() {
            return Ok(());
        }
        self.flush_to_app(deadline).await?;
        let answering = deadline.while_application_answers(read_password(self.app));
        let answer = tokio::select! {
            answer = self.permit.while_application_answers(answering) => answer.map_err(|failure| self.explain_binding(failure))?,
            () = self.hop.framed.readable() => return self.hop_ended_login(deadline).await,
        };
        self.check_relayed(&request, &answer)?;
        if matches!(request, Authentication::Sasl { .. }) {
            self.check_binding(&answer)?;
        }
        let out = self.hop.framed.out();
        make_room(out, answer.len());
        out.put_slice(answer.expose());
        self.flush_to_hop(deadline).await
    }

    /// The hop speaks while the application still has to answer: it has ended the login.
    async fn hop_ended_login(&mut self, deadline: &mut Deadline) -> Result<(), Failure> {
        let name = self.hop.name.clone();
        let message = deadline.while_hop_answers(&name, read_from_hop(&mut self.hop.framed, &name)).await?;
        match BackendMessage::decode(message.tag, message.body.expose()) {
            Ok(BackendMessage::Error(error)) => Err(self.relay_refusal(error, deadline).await?),
            _ => Err(self.out_of_order("it went on before it had the answer to its password request")),
        }
    }

    /// Checks the application's password where it is an IAM token, or has to be one.
    fn check_relayed(&mut self, request: &Authentication<'_>, answer: &Secret) -> Result<(), Failure> {
        let Some(rule) = &self.login.token_rule else { return Ok(()) };
        if *request != Authentication::CleartextPassword {
            return if rule.required { Err(Failure::Token(TokenError::NotAToken)) } else { Ok(()) };
        }
        let body = answer.expose().get(Header::LENGTH..).unwrap_or_default();
        let password = decode_password(body).map_err(Failure::Application)?;
        let claim = rule.check(password.expose(), SystemTime::now()).map_err(Failure::Token)?;
        self.signed = claim.map(|claim| claim.signed);
        Ok(())
    }

    /// Relays the hop's refusal, with a hint where more is known.
    pub(super) async fn relay_refusal(
        &mut self,
        mut error: ErrorResponse,
        deadline: &Deadline,
    ) -> Result<Failure, Failure> {
        let circumstances = Circumstances {
            user: &self.user,
            signer: self.login.signer.as_ref().filter(|_| self.login.iam.is_some()),
            service: self.login.iam,
            binding_missed: self.binding_missed,
            clock: self.wrong_clock(),
            no_token: self.login.no_token.as_deref().filter(|_| self.cleartext),
        };
        let own = error.message().is_some_and(|message| message.starts_with(OWN_ERROR));
        let mut message = error.message().unwrap_or_default().into_owned();
        if own {
            // The half behind the hop does not make the tokens.
            let no_token = self.login.no_token.as_ref();
            if let Some(no_token) = no_token.filter(|_| message.contains(CLEARTEXT_NOT_ALLOWED)) {
                add_hint(&mut error, no_token);
            }
        } else {
            explain(&mut error, &circumstances);
            let age = circumstances.clock.as_ref().and_then(WrongClock::age);
            if let Some(age) = age.filter(|_| refuses_credential(&error)) {
                message = format!("{message} ({age})");
            }
        }
        // Another half of this product slows refused logins itself.
        if refuses_credential(&error) && self.hop.is_database {
            self.permit.slow_down(deadline.left_to_try()).await;
        }
        error.encode(self.app.out());
        self.flush_to_app(deadline).await?;
        Ok(Failure::Refused {
            hop: self.hop.name.clone(),
            sqlstate: error.sqlstate().unwrap_or_default().into_owned(),
            message,
        })
    }

    /// A clock that the database may refuse the token for.
    fn wrong_clock(&self) -> Option<WrongClock> {
        match (self.signed, &self.login.token_rule) {
            (Some(signed), _) => WrongClock::of_signer(signed, &self.login.clock),
            // A process without a rule for tokens signs them.
            (None, None) => WrongClock::own(&self.login.clock),
            (None, Some(_)) => None,
        }
    }
}

//! The order of a hop's messages during a login. PostgreSQL uses one method, and sends no request after
//! `AuthenticationOk` (PostgreSQL manual, "Start-up" and "SASL Authentication"); a hop that deviates is hostile or broken.

use super::Authentication;

/// How far the authentication at the hop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginState {
    /// The hop has sent no authentication message.
    Start,
    /// It has requested a password.
    Requested,
    /// It has offered SASL mechanisms.
    Offered,
    /// It has sent the challenge of the chosen mechanism.
    Challenged,
    /// It has sent the last message of the mechanism.
    Finished,
    /// It has sent `AuthenticationOk`.
    Done,
}

impl LoginState {
    /// The state after this message.
    ///
    /// # Errors
    /// What is wrong with the message, as the end of a sentence.
    pub fn after(self, message: &Authentication<'_>) -> Result<Self, &'static str> {
        match (self, message) {
            (Self::Done, _) => Err("it sent an authentication message after AuthenticationOk"),
            (
                Self::Start,
                Authentication::CleartextPassword
                | Authentication::Md5Password { .. }
                | Authentication::Other { .. },
            ) => Ok(Self::Requested),
            (Self::Start, Authentication::Sasl { .. }) => Ok(Self::Offered),
            (Self::Offered, Authentication::SaslContinue(_)) => Ok(Self::Challenged),
            (Self::Challenged, Authentication::SaslFinal(_)) => Ok(Self::Finished),
            // OAUTHBEARER ends without a challenge; SCRAM is checked by the exchange.
            (Self::Start | Self::Requested | Self::Offered | Self::Finished, Authentication::Ok) => {
                Ok(Self::Done)
            }
            (Self::Challenged, Authentication::Ok) => Err("it ended a SASL exchange before its last message"),
            (_, Authentication::SaslContinue(_) | Authentication::SaslFinal(_)) => {
                Err("it sent a SASL message that does not follow the one before")
            }
            (
                Self::Requested | Self::Offered | Self::Challenged | Self::Finished,
                Authentication::CleartextPassword
                | Authentication::Md5Password { .. }
                | Authentication::Sasl { .. }
                | Authentication::Other { .. },
            ) => Err("it requested a second login method"),
        }
    }

    /// Whether the hop has let the session in.
    #[must_use]
    pub fn is_done(self) -> bool {
        self == Self::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEARTEXT: Authentication<'_> = Authentication::CleartextPassword;
    const MD5: Authentication<'_> = Authentication::Md5Password { salt: [0; 4] };
    const CONTINUE: Authentication<'_> = Authentication::SaslContinue(b"");
    const FINAL: Authentication<'_> = Authentication::SaslFinal(b"");
    const OK: Authentication<'_> = Authentication::Ok;
    const SASL: Authentication<'_> = Authentication::Sasl { mechanisms: Vec::new() };

    fn walk(messages: &[Authentication<'_>]) -> Result<LoginState, &'static str> {
        messages.iter().try_fold(LoginState::Start, |state, message| state.after(message))
    }

    #[test]
    fn every_login_of_postgresql_ends_done() {
        for messages in [&[OK][..], &[CLEARTEXT, OK], &[MD5, OK], &[SASL, CONTINUE, FINAL, OK], &[SASL, OK]] {
            assert_eq!(walk(messages), Ok(LoginState::Done), "{messages:?}");
        }
    }

    #[test]
    fn every_other_order_is_refused() {
        for (messages, error) in [
            (&[CLEARTEXT, CLEARTEXT][..], "a second login method"),
            (&[MD5, CLEARTEXT], "a second login method"),
            (&[SASL, MD5], "a second login method"),
            (&[SASL, CONTINUE, CLEARTEXT], "a second login method"),
            (&[SASL, CONTINUE, FINAL, SASL], "a second login method"),
            (&[OK, CLEARTEXT], "after AuthenticationOk"),
            (&[OK, OK], "after AuthenticationOk"),
            (&[CONTINUE], "does not follow"),
            (&[CLEARTEXT, CONTINUE], "does not follow"),
            (&[SASL, FINAL], "does not follow"),
            (&[SASL, CONTINUE, CONTINUE], "does not follow"),
            (&[SASL, CONTINUE, OK], "before its last message"),
        ] {
            let refused = walk(messages).unwrap_err();
            assert!(refused.contains(error), "{messages:?}: {refused}");
        }
    }
}

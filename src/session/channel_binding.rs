//! Channel binding of a SCRAM login that the application answers. It cannot pass a proxy: the application's TLS ends here, and the
//! database has another.

use postgres_protocol::authentication::sasl::SCRAM_SHA_256_PLUS;

use super::Failure;
use super::authenticate::Conversation;
use crate::secret::Secret;
use crate::wire::{Authentication, Header};

impl Conversation<'_> {
    /// The hop's offer as the application may see it.
    pub(super) fn offer<'m>(&mut self, mechanisms: &[&'m str]) -> Result<Authentication<'m>, Failure> {
        let Some(offer) = visible(mechanisms, self.app.stream().is_tls()) else {
            let offered = mechanisms.join(", ");
            return Err(Failure::UnsupportedSasl { hop: self.hop.name.clone(), offered });
        };
        self.binding_withheld = offer.len() < mechanisms.len();
        Ok(Authentication::Sasl { mechanisms: offer })
    }

    /// Refuses an application whose `SASLInitialResponse` binds the login.
    pub(super) fn check_binding(&mut self, response: &Secret) -> Result<(), Failure> {
        match Binding::of(response.expose()) {
            Binding::Chosen => return Err(Failure::ChannelBinding),
            Binding::Missed => self.binding_missed = self.binding_withheld,
            Binding::None => {}
        }
        Ok(())
    }

    /// The same failure; where the application hung up at an offer without channel binding, one that says so.
    pub(super) fn explain_binding(&self, failure: Failure) -> Failure {
        match failure {
            Failure::ApplicationGone(error) if self.binding_withheld => Failure::BindingWithheld(error),
            other => other,
        }
    }
}

/// What a `SASLInitialResponse` says about channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    /// The application binds nothing, and could not.
    None,
    /// The flag `y`: the application could bind its login to its TLS session, had the offer included that (RFC 5802 section 7,
    /// `gs2-cbind-flag`). A database that offers it takes the flag for an attack. The flag shows what the application has TLS
    /// with, however many proxies are between.
    Missed,
    /// It binds the login.
    Chosen,
}

impl Binding {
    /// Reads the message with its header: the mechanism with its zero, the length of what follows, the flag (PostgreSQL manual,
    /// "Message Formats").
    fn of(message: &[u8]) -> Self {
        let body = message.get(Header::LENGTH..).unwrap_or_default();
        let mut parts = body.splitn(2, |byte| *byte == 0);
        let (Some(mechanism), Some(rest)) = (parts.next(), parts.next()) else { return Self::None };
        if mechanism == SCRAM_SHA_256_PLUS.as_bytes() {
            return Self::Chosen;
        }
        match rest.get(4..) {
            Some(response) if response.starts_with(b"y,") => Self::Missed,
            _ => Self::None,
        }
    }
}

/// The mechanisms that an application may see. Over TLS -PLUS is among them: whoever chooses it reads what to change, and drivers
/// send the flag `y` where it is missing. In clear text libpq ends the login at such an offer (`pg_SASL_init` in `fe-auth.c`), and
/// binds nothing. `None` where only -PLUS is offered.
fn visible<'m>(mechanisms: &[&'m str], app_has_tls: bool) -> Option<Vec<&'m str>> {
    let others: Vec<_> = mechanisms.iter().copied().filter(|name| *name != SCRAM_SHA_256_PLUS).collect();
    if others.is_empty() {
        return None;
    }
    Some(if app_has_tls { mechanisms.to_vec() } else { others })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mechanism_and_the_flag_tell_what_an_application_binds() {
        for (message, binding) in [
            (&b"p\0\0\0\0SCRAM-SHA-256\0\0\0\0\x08y,,n=,r=x"[..], Binding::Missed),
            (b"p\0\0\0\0SCRAM-SHA-256\0\0\0\0\x08n,,n=,r=x", Binding::None),
            (b"p\0\0\0\0SCRAM-SHA-256-PLUS\0\0\0\0\x20p=tls-server-end-point,,n=,r=x", Binding::Chosen),
            (b"p\0\0\0\0SCRAM-SHA-256-PLUS\0", Binding::Chosen),
            (b"p\0\0", Binding::None),
            (b"p\0\0\0\x05yes", Binding::None),
            (b"p\0\0\0\x05yes\0", Binding::None),
            (b"p\0\0\0\x05yes\0\0\0\0", Binding::None),
            (b"p\0\0\0\0SCRAM-SHA-256-PLUS", Binding::None),
        ] {
            assert_eq!(Binding::of(message), binding, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn an_application_in_clear_text_sees_no_binding() {
        let both = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
        assert_eq!(visible(&both, true).unwrap(), both);
        assert_eq!(visible(&both, false).unwrap(), ["SCRAM-SHA-256"]);
        for app_has_tls in [true, false] {
            assert_eq!(visible(&["SCRAM-SHA-256", "X"], app_has_tls).unwrap(), ["SCRAM-SHA-256", "X"]);
            assert_eq!(visible(&["SCRAM-SHA-256-PLUS"], app_has_tls), None);
        }
    }
}

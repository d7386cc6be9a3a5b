//! Channel binding of a SCRAM login that the application answers. It cannot pass a proxy: the application's TLS ends here, and the
//! database has another.

use postgres_protocol::authentication::sasl::SCRAM_SHA_256_PLUS;

use crate::wire::Header;

/// What an application has to change.
pub(super) const DISABLE_BINDING: &str = "Channel binding cannot pass a proxy: connect with channel_binding=disable. The proxy \
                                          verifies the database's certificate as its ssl.mode says.";

/// What a `SASLInitialResponse` says about channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// It needs none.
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
    pub(super) fn of_response(message: &[u8]) -> Self {
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

/// The offer of SASL mechanisms for an application. Over TLS -PLUS stays in it: who chooses that reads what to change, and drivers
/// send the flag `y` where it is missing. In clear text libpq ends the login at such an offer (`pg_SASL_init` in `fe-auth.c`), and
/// binds nothing. `None` where only -PLUS is offered.
pub(super) fn offer<'m>(mechanisms: &[&'m str], app_has_tls: bool) -> Option<Vec<&'m str>> {
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
            assert_eq!(Binding::of_response(message), binding, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn an_application_in_clear_text_sees_no_binding() {
        let both = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
        assert_eq!(offer(&both, true).unwrap(), both);
        assert_eq!(offer(&both, false).unwrap(), ["SCRAM-SHA-256"]);
        for app_has_tls in [true, false] {
            assert_eq!(offer(&["SCRAM-SHA-256", "X"], app_has_tls).unwrap(), ["SCRAM-SHA-256", "X"]);
            assert_eq!(offer(&["SCRAM-SHA-256-PLUS"], app_has_tls), None);
        }
    }
}

//! Hints for a login that the database refused.

use std::time::{Duration, SystemTime};

use crate::wire::{ErrorResponse, Header, SqlState};

/// What is known about a login when the database refuses it.
#[derive(Default)]
pub(super) struct Circumstances<'a> {
    /// The database user of the login.
    pub(super) user: &'a str,
    /// The signer of the IAM token, where one was used.
    pub(super) identity: Option<&'a str>,
    /// The application could have bound its login to TLS, but did not see that the database can too.
    pub(super) binding_missed: bool,
    /// The age of the token, if the clocks of signer and proxy differ visibly.
    pub(super) age: Option<String>,
}

/// The least difference that is worth a word: an application logs in at once with a token made for it.
const NOTABLE: Duration = Duration::from_mins(1);

/// The age of a token as a clause, if it is notable: a token is made for each login, so its age shows how far the clocks
/// differ.
pub(super) fn token_age(signed: SystemTime, now: SystemTime) -> Option<String> {
    let (difference, direction) = match now.duration_since(signed) {
        Ok(age) => (age, "ago"),
        Err(early) => (early.duration(), "in the future"),
    };
    let notable = difference >= NOTABLE;
    notable.then(|| format!("the IAM token was signed {} minutes {direction}", difference.as_secs() / 60))
}

/// Whether this `SASLInitialResponse` of an application has the flag `y`: it could bind its login to its TLS session, had
/// the offer included that (RFC 5802 section 7, `gs2-cbind-flag`). A database that offers it takes the flag for an attack.
/// The flag shows what the application has TLS with, however many proxies are between.
pub(super) fn misses_channel_binding(message: &[u8]) -> bool {
    // Tag and length, the mechanism with its zero, the length of what follows (PostgreSQL manual, "Message Formats").
    let Some(body) = message.get(Header::LENGTH..) else { return false };
    let mut parts = body.splitn(2, |byte| *byte == 0);
    let (Some(_mechanism), Some(rest)) = (parts.next(), parts.next()) else { return false };
    rest.get(4..).is_some_and(|response| response.starts_with(b"y,"))
}

/// Whether the database refuses the user or the password, so that the login was perhaps a guess.
pub(super) fn refuses_credential(error: &ErrorResponse) -> bool {
    error.is(SqlState::InvalidAuthorizationSpecification) || error.is(SqlState::InvalidPassword)
}

/// Adds a HINT to a refused login; the database's own text stays as it is.
pub(super) fn explain(error: &mut ErrorResponse, circumstances: &Circumstances<'_>) {
    if !refuses_credential(error) {
        return;
    }
    if let Some(identity) = circumstances.identity {
        explain_iam(error, circumstances.user, identity);
        if let (Some(age), Some(hint)) = (&circumstances.age, error.hint()) {
            let hint = format!("{hint} By the clock of this proxy, {age}; check the clocks.");
            error.set_hint(hint);
        }
    } else if circumstances.binding_missed
        && error.is(SqlState::InvalidAuthorizationSpecification)
        && error.hint().is_none()
    {
        error.set_hint(
            "Channel binding cannot pass a proxy: connect with channel_binding=disable. The proxy verifies the \
             database's certificate itself.",
        );
    }
}

fn explain_iam(error: &mut ErrorResponse, user: &str, identity: &str) {
    let hint = match error.hint() {
        None => format!(
            "IAM login: the database user needs GRANT rds_iam TO \"{user}\", and the AWS identity {identity} needs a \
             policy that allows rds-db:connect for this user on this database."
        ),
        // The other half of the proxy has added a hint, but may know the identity less well.
        Some(hint) if !hint.contains(identity) => format!("{hint} Here the AWS identity is {identity}."),
        Some(_) => return,
    };
    error.set_hint(hint);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Severity;

    fn refused(sqlstate: SqlState) -> ErrorResponse {
        ErrorResponse::new(Severity::Fatal, sqlstate, "PAM authentication failed for user \"alice\"")
    }

    fn iam() -> Circumstances<'static> {
        Circumstances { user: "alice", identity: Some("AKIDEXAMPLE"), ..Circumstances::default() }
    }

    #[test]
    fn a_refused_iam_login_names_grant_policy_and_identity() {
        let mut error = refused(SqlState::InvalidAuthorizationSpecification);
        let iam = iam();
        explain(&mut error, &iam);
        let hint = error.hint().unwrap().into_owned();
        for part in ["GRANT rds_iam TO \"alice\"", "rds-db:connect", "AKIDEXAMPLE"] {
            assert!(hint.contains(part), "{hint}");
        }
        assert_eq!(error.message().unwrap(), "PAM authentication failed for user \"alice\"");
        explain(&mut error, &iam);
        assert_eq!(error.hint().unwrap(), hint, "the second proxy adds nothing");
        explain(&mut error, &Circumstances { identity: Some("arn:aws:iam::123456789012:user/alice"), ..iam });
        assert!(error.hint().unwrap().ends_with("arn:aws:iam::123456789012:user/alice."));
    }

    #[test]
    fn a_token_of_another_clock_names_the_difference() {
        let now = SystemTime::now();
        assert!(token_age(now - Duration::from_secs(59), now).is_none());
        let ago = token_age(now - Duration::from_mins(4), now).unwrap();
        assert_eq!(ago, "the IAM token was signed 4 minutes ago");
        let age = token_age(now + Duration::from_secs(150), now);
        assert_eq!(age.as_deref(), Some("the IAM token was signed 2 minutes in the future"));
        let mut error = refused(SqlState::InvalidAuthorizationSpecification);
        explain(&mut error, &Circumstances { age, ..iam() });
        assert!(error.hint().unwrap().ends_with("2 minutes in the future; check the clocks."), "{error:?}");
    }

    #[test]
    fn other_errors_pass_unchanged() {
        let mut error = refused(SqlState::InvalidCatalogName);
        explain(&mut error, &Circumstances { binding_missed: true, ..iam() });
        assert!(error.hint().is_none());
        let mut error = refused(SqlState::InvalidPassword);
        explain(&mut error, &Circumstances { binding_missed: true, ..Circumstances::default() });
        assert!(error.hint().is_none(), "a wrong password has nothing to do with channel binding");
    }

    #[test]
    fn only_the_flag_y_misses_channel_binding() {
        assert!(misses_channel_binding(b"p\0\0\0\0SCRAM-SHA-256\0\0\0\0\x08y,,n=,r=x"));
        assert!(!misses_channel_binding(b"p\0\0\0\0SCRAM-SHA-256\0\0\0\0\x08n,,n=,r=x"));
        for broken in [&b"p\0\0"[..], b"p\0\0\0\x05yes", b"p\0\0\0\x05yes\0", b"p\0\0\0\x05yes\0\0\0\0"] {
            assert!(!misses_channel_binding(broken));
        }
    }

    #[test]
    fn a_lost_channel_binding_is_explained() {
        let mut error = refused(SqlState::InvalidAuthorizationSpecification);
        explain(&mut error, &Circumstances { binding_missed: true, ..Circumstances::default() });
        assert!(error.hint().unwrap().contains("channel_binding=disable"));
    }
}

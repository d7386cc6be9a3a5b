//! How far a login through another half of this program came, by the error that the application reads.

use super::response::OWN_ERROR;
use crate::wire::{ErrorResponse, SqlState};

/// The step at which a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The proxy dialled no database.
    Proxy,
    /// The database was not reached, or did not answer.
    Database,
    /// TLS with the database failed.
    DatabaseTls,
    /// The database was reached and the login was refused, by itself or by the proxy.
    Login,
}

impl Stage {
    /// The step at which the login ended that this error refuses. An error of the database itself passes word for word, so it
    /// shows that the database was reached.
    #[must_use]
    pub fn of(error: &ErrorResponse) -> Self {
        let message = error.message().unwrap_or_default();
        let Some(text) = message.strip_prefix(OWN_ERROR) else { return Self::Login };
        // Texts of `LookupError` and of `Failure::InvalidTarget`.
        let is_about_the_target = text.starts_with("the target \"") || text.starts_with("the startup p");
        let refuses_all =
            [SqlState::TooManyConnections, SqlState::AdminShutdown, SqlState::InsufficientResources];
        if is_about_the_target || refuses_all.into_iter().any(|sqlstate| error.is(sqlstate)) {
            Self::Proxy
        } else if error.is(SqlState::CannotConnectNow) {
            Self::Database
        } else if error.is(SqlState::SqlclientUnableToEstablishSqlconnection) {
            Self::DatabaseTls
        } else {
            Self::Login
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;
    use crate::catalog::{LookupError, TokenError};
    use crate::session::{Failure, Fault};
    use crate::tls::{SslMode, TlsError};
    use crate::wire::Severity;

    #[test]
    fn the_error_of_a_server_shows_the_step() {
        let hop = || "the database orders-db at h:5432".to_owned();
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        for (failure, stage) in [
            (Failure::Lookup(LookupError::Unknown { wanted: "x".into() }), Stage::Proxy),
            (Failure::MissingParameter { parameter: "host", remedy: "x" }, Stage::Proxy),
            (Failure::TooManyConnections(1), Stage::Proxy),
            (Failure::ShuttingDown, Stage::Proxy),
            (Failure::AuditQueueFull, Stage::Proxy),
            (Failure::Unreachable { hop: hop(), source: refused }, Stage::Database),
            (Failure::HungUpBeforeTls(hop()), Stage::Database),
            (Failure::Silent(hop(), Duration::from_secs(1)), Stage::Database),
            (
                Failure::Timeout { doing: hop(), allowed: Duration::from_secs(1), fault: Fault::Hop },
                Stage::Database,
            ),
            (Failure::HopTls { hop: hop(), source: TlsError::Handshake("x".into()) }, Stage::DatabaseTls),
            (Failure::NoTls { hop: hop(), mode: SslMode::Require }, Stage::DatabaseTls),
            (Failure::Token(TokenError::NotAToken), Stage::Login),
            (Failure::SecondPasswordRequest(hop()), Stage::Login),
        ] {
            assert_eq!(Stage::of(&failure.response().unwrap()), stage, "{failure}");
        }
    }

    #[test]
    fn a_database_that_answers_was_reached() {
        let starting = ErrorResponse::new(
            Severity::Fatal,
            SqlState::CannotConnectNow,
            "the database system is starting up",
        );
        assert_eq!(Stage::of(&starting), Stage::Login);
    }
}

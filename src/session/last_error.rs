//! The error that ended a session, for its log line.

use super::splice::{End, Side, Splice};
use crate::wire::SqlState;

/// The SQLSTATE and the text of what ended a session: the hop's last FATAL, else what the proxy knows.
pub(super) fn last_error(splice: &Splice, end: &End) -> (String, String) {
    if let Some(fatal) = splice.fatal() {
        let message = fatal.message().unwrap_or_default().into_owned();
        return (fatal.sqlstate().unwrap_or_default().into_owned(), message);
    }
    let (sqlstate, error) = match end {
        End::Shutdown => (Some(SqlState::AdminShutdown), String::new()),
        End::Administrator(reason) => (Some(SqlState::AdminShutdown), reason.clone()),
        End::Idle(_) => (Some(SqlState::IdleSessionTimeout), String::new()),
        End::Broken(Side::Hop, error) => (Some(SqlState::ConnectionFailure), error.to_string()),
        End::Closed(Side::Hop) => (Some(SqlState::ConnectionFailure), String::new()),
        End::Broken(Side::App, error) => (None, error.to_string()),
        End::Closed(Side::App) | End::Lingered(_) => (None, String::new()),
    };
    (sqlstate.map_or(String::new(), |sqlstate| sqlstate.as_str().to_owned()), error)
}

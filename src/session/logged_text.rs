//! Texts of a startup packet, as the log has them.

use crate::wire::StartupMessage;

/// The most characters of a text that are logged.
const MAX_TEXT: usize = 128;

/// PostgreSQL takes the user's name where no database is named (`ProcessStartupPacket` in `backend_startup.c`).
pub(super) fn database(startup: &StartupMessage) -> String {
    let database = startup.text("database").filter(|database| !database.is_empty());
    short(database.or_else(|| startup.text("user")).unwrap_or_default())
}

/// The part of a peer's text that is logged; the peer is not authenticated yet. PostgreSQL cuts names to 63 bytes (manual,
/// "Identifiers and Key Words").
pub(super) fn short(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_logged_whole_and_a_long_text_is_cut() {
        assert_eq!(short("alice".into()), "alice");
        assert_eq!(short("ü".repeat(9000)).chars().count(), MAX_TEXT + 1);
    }
}

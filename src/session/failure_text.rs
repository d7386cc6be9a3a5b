//! Parts of sentences about failures.

use std::io;

/// The reason of an I/O error. A plain end of the stream has none: the libraries' text is about their interfaces.
pub(super) fn how(source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::UnexpectedEof { String::new() } else { format!(": {source}") }
}

/// The same in parentheses.
pub(super) fn because(reason: Option<&io::Error>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}

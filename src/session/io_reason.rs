//! The reason of an I/O error, as a part of a sentence.

use std::io;

/// The reason of an error. A plain end of the stream has none: the libraries' text is about their interfaces.
pub(super) fn how(source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::UnexpectedEof { String::new() } else { format!(": {source}") }
}

pub(super) fn because(reason: Option<&io::Error>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}

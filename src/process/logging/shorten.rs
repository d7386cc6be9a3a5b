//! The length of a value in a log line. Peers choose some values, of up to 64 KiB.

use std::borrow::Cow;

use tracing::field::Field;

/// The most bytes of one value.
const MAX_VALUE: usize = 1024;

/// Fields that are written whole: lists of names from RDS and of paths from the configuration.
const WHOLE: [&str; 2] = ["targets", "files"];

/// The part of a field's text that is written, with an ellipsis where it is cut.
pub(super) fn shorten<'a>(field: &Field, text: &'a str) -> Cow<'a, str> {
    if WHOLE.contains(&field.name()) { text.into() } else { shorten_text(text) }
}

/// The same for a text that can come from a peer.
pub(super) fn shorten_text(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_VALUE {
        return text.into();
    }
    let (start, _) = text.split_at(text.floor_char_boundary(MAX_VALUE));
    format!("{start}…").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let short = "x".repeat(MAX_VALUE);
        assert_eq!(shorten_text(&short), short);
        assert_eq!(shorten_text(&format!("{short}x")), format!("{short}…"));
        // Characters of three bytes do not fit evenly.
        assert_eq!(shorten_text(&"€".repeat(9000)), format!("{}…", "€".repeat(MAX_VALUE / 3)));
    }
}

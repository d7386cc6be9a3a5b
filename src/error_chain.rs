//! An error and the errors that caused it.

use std::error::Error;
use std::io;

/// The error itself, then its causes, outermost first. The error inside an `io::Error` counts as its cause:
/// `io::Error::source` skips it.
pub fn errors<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

/// The first error of this type.
pub fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    errors(error).find_map(|error| error.downcast_ref())
}

/// Their messages in one line: `error: cause: …`. A message that the text ends with already is not repeated.
#[must_use]
pub fn text(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for message in errors(error).map(ToString::to_string) {
        if text.is_empty() {
            text = message;
        } else if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn each_message_is_in_the_text_once() {
        assert_eq!(text(&Outer(io::Error::other(Inner))), "outer: inner");
        assert_eq!(text(&Inner), "inner");
    }

    #[test]
    fn an_error_inside_an_io_error_is_found() {
        let error = Outer(io::Error::other(Inner));
        assert!(find::<Inner>(&error).is_some());
        assert!(find::<std::fmt::Error>(&error).is_none());
        assert_eq!(errors(&error).count(), 3);
    }
}

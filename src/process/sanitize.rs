//! Text from outside, without anything that a terminal executes.

use std::fmt::{self, Display, Formatter, Write};

/// A value whose text shows every control character escaped (`\n`, `\u{1b}`): it stays on its line and changes neither
/// colours nor the text around it. Names of databases and texts of servers are printed only in this form.
pub(crate) struct Sanitized<T>(pub(crate) T);

/// Whether a terminal may execute the character or end a line at it: the control characters of ASCII and of ISO 8859-1
/// (ECMA-48), the separators of lines and paragraphs, and the marks that change the writing direction (Unicode, UAX #9,
/// property `Bidi_Control`).
pub(super) fn is_control(character: char) -> bool {
    let separator_or_mark = matches!(
        character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || separator_or_mark
}

impl<T: Display> Display for Sanitized<T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaping(formatter), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for run in text.split_inclusive(is_control) {
            self.0.write_str(run.trim_end_matches(is_control))?;
            if let Some(control) = run.chars().next_back().filter(|last| is_control(*last)) {
                write!(self.0, "{}", control.escape_default())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_all_others_stay() {
        for (text, expected) in [
            ("", ""),
            ("it's \"Größe\" 10 €, \\n", "it's \"Größe\" 10 €, \\n"),
            ("two\r\nlines\n", "two\\r\\nlines\\n"),
            ("\u{1b}[31mred\u{9b}0m\u{7f}", "\\u{1b}[31mred\\u{9b}0m\\u{7f}"),
            ("\u{202e}txet\u{2069}\u{2028}", "\\u{202e}txet\\u{2069}\\u{2028}"),
            ("\0\t\u{7}", "\\u{0}\\t\\u{7}"),
            ("a\u{200e}b\u{200f}c\u{61c}", "a\\u{200e}b\\u{200f}c\\u{61c}"),
        ] {
            assert_eq!(Sanitized(text).to_string(), expected);
        }
    }

    #[test]
    fn text_that_debug_escaped_is_not_escaped_again() {
        assert_eq!(Sanitized(format_args!("{:?}", "a\n\"b\"")).to_string(), r#""a\n\"b\"""#);
    }
}

//! Text from outside, with nothing in it that a terminal obeys.

use std::fmt::{self, Display, Formatter, Write};

/// Shows another value with every command in its text written out (`\n`, `\u{1b}`): it stays on the line where it was put,
/// and changes neither colours nor what stands around it. Names of databases, texts of servers and the like are for a
/// person only in this form.
pub(super) struct Visible<T>(pub(super) T);

/// Whether it is a command to a terminal or ends a line: the control characters of ASCII and of ISO 8859-1 (ECMA-48), the
/// separators of lines and paragraphs, and the marks that turn the direction of writing (Unicode, UAX #9).
pub(super) fn is_command(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<T: Display> Display for Visible<T> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(WriteOut(formatter), "{}", self.0)
    }
}

struct WriteOut<'a, 'b>(&'a mut Formatter<'b>);

impl Write for WriteOut<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for run in text.split_inclusive(is_command) {
            self.0.write_str(run.trim_end_matches(is_command))?;
            if let Some(command) = run.chars().next_back().filter(|last| is_command(*last)) {
                write!(self.0, "{}", command.escape_default())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_written_out_and_all_else_is_as_it_was() {
        for (text, expected) in [
            ("", ""),
            ("it's \"Größe\" 10 €, \\n", "it's \"Größe\" 10 €, \\n"),
            ("two\r\nlines\n", "two\\r\\nlines\\n"),
            ("\u{1b}[31mred\u{9b}0m\u{7f}", "\\u{1b}[31mred\\u{9b}0m\\u{7f}"),
            ("\u{202e}txet\u{2069}\u{2028}", "\\u{202e}txet\\u{2069}\\u{2028}"),
            ("\0\t\u{7}", "\\u{0}\\t\\u{7}"),
        ] {
            assert_eq!(Visible(text).to_string(), expected);
        }
    }

    #[test]
    fn what_debug_wrote_out_is_not_written_out_twice() {
        assert_eq!(Visible(format_args!("{:?}", "a\n\"b\"")).to_string(), r#""a\n\"b\"""#);
    }
}

//! Bold and colours on the two output streams.

use std::io::{self, IsTerminal};

use anstyle_query::{clicolor, clicolor_force, no_color, term_supports_color};

/// Whether a stream gets escape sequences. The first of these decides, each if it is set (<https://no-color.org>,
/// <https://bixense.com/clicolors>):
///
/// 1. `NO_COLOR`: none.
/// 2. `CLICOLOR_FORCE`: always.
/// 3. `CLICOLOR=0`: none.
///
/// Else a terminal gets them, unless `TERM` is `dumb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// The stream takes escape sequences, or the user wants them all the same.
    pub(crate) coloured: bool,
}

impl Style {
    /// The style of standard output.
    pub(crate) fn of_stdout() -> Self {
        Self::of(&io::stdout())
    }

    /// The style of standard error.
    pub(crate) fn of_stderr() -> Self {
        Self::of(&io::stderr())
    }

    /// The text in bold.
    pub(crate) fn bold(self, text: &str) -> String {
        self.escaped("1", text)
    }

    /// The text in bold red.
    pub(crate) fn bold_red(self, text: &str) -> String {
        self.escaped("1;31", text)
    }

    /// The text in a colour that recedes.
    pub(crate) fn dim(self, text: &str) -> String {
        self.escaped("2", text)
    }

    /// The text in bold green.
    pub(crate) fn bold_green(self, text: &str) -> String {
        self.escaped("1;32", text)
    }

    /// The text in bold yellow.
    pub(crate) fn bold_yellow(self, text: &str) -> String {
        self.escaped("1;33", text)
    }

    fn of(stream: &impl IsTerminal) -> Self {
        let by_terminal = || {
            clicolor() != Some(false)
                && stream.is_terminal()
                && term_supports_color()
                && understands_escapes()
        };
        Self { coloured: !no_color() && (clicolor_force() || by_terminal()) }
    }

    fn escaped(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A Windows console understands escape sequences only after a call, and an old one never.
#[cfg(windows)]
fn understands_escapes() -> bool {
    anstyle_query::windows::enable_ansi_colors().unwrap_or(false)
}

#[cfg(not(windows))]
const fn understands_escapes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_written_only_where_they_are_wanted() {
        assert_eq!(Style { coloured: false }.bold("x"), "x");
        assert_eq!(Style { coloured: true }.bold_red("x"), "\u{1b}[1;31mx\u{1b}[0m");
    }
}

//! Bold and colours on the two output streams.

use std::env;
use std::io::{self, IsTerminal};

/// Whether a stream takes escape sequences: only a terminal does, and not where `NO_COLOR` is set
/// (<https://no-color.org>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// The terminal understands escape sequences and the user wants them.
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

    fn of(stream: &impl IsTerminal) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self { coloured: stream.is_terminal() && !refused && !dumb && understands_escapes() }
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

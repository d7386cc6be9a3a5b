//! The two output streams: who is looking, and writing that a closed pipe does not upset.

use std::env;
use std::io::{self, IsTerminal, Write};

use super::failure::Failure;
use super::visible::Visible;

/// Whether text on a stream is coloured: only on a terminal, and not where `NO_COLOR` is set (<https://no-color.org>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// Escape sequences are understood and wanted.
    pub(super) coloured: bool,
}

impl Style {
    /// What suits standard output.
    pub(super) fn of_stdout() -> Self {
        Self::of(&io::stdout())
    }

    /// What suits standard error.
    pub(super) fn of_stderr() -> Self {
        Self::of(&io::stderr())
    }

    /// The text in bold.
    pub(super) fn bold(self, text: &str) -> String {
        self.escaped("1", text)
    }

    fn of(stream: &impl IsTerminal) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self { coloured: stream.is_terminal() && !refused && !dumb && understands_escapes() }
    }

    fn bold_red(self, text: &str) -> String {
        self.escaped("1;31", text)
    }

    fn escaped(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A console of Windows has to be told first, and an old one does not understand them at all.
#[cfg(windows)]
fn understands_escapes() -> bool {
    anstyle_query::windows::enable_ansi_colors().unwrap_or(false)
}

#[cfg(not(windows))]
const fn understands_escapes() -> bool {
    true
}

/// Whether somebody can be asked: the question goes to standard error, the answer comes from standard input.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Writes to standard output. A reader that has gone away (`… | head -1`) has seen what it wanted.
pub(super) fn print(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    write_to(&mut io::stdout().lock(), text.as_ref())
        .map_err(|error| Failure::Runtime(format!("standard output cannot be written: {error}")))
}

/// The one place where failures are told. Nobody is left to hear it if that fails.
pub(super) fn report(failure: &Failure) {
    let style = Style::of_stderr();
    let _heard = match failure {
        Failure::Interrupted => Ok(()),
        Failure::Arguments(error) if error.use_stderr() => {
            write_to(&mut io::stderr().lock(), rendered(error, style).as_bytes())
        }
        Failure::Arguments(help) => {
            write_to(&mut io::stdout().lock(), rendered(help, Style::of_stdout()).as_bytes())
        }
        Failure::Runtime(text) | Failure::Usage(text) => {
            let line = format!("{} {}\n", style.bold_red("error:"), lines(text));
            write_to(&mut io::stderr().lock(), line.as_bytes())
        }
    };
}

/// The text with nothing in it that the terminal obeys, but for the ends of its lines: some failures end with a list.
fn lines(text: &str) -> String {
    text.split('\n').map(|line| Visible(line).to_string()).collect::<Vec<_>>().join("\n")
}

fn rendered(error: &clap::Error, style: Style) -> String {
    let text = error.render();
    if style.coloured { text.ansi().to_string() } else { text.to_string() }
}

fn write_to(stream: &mut impl Write, text: &[u8]) -> io::Result<()> {
    match stream.write_all(text).and_then(|()| stream.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(io::ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_closed_pipe_is_no_error() {
        assert!(write_to(&mut Fails(io::ErrorKind::BrokenPipe), b"text").is_ok());
        assert!(write_to(&mut Fails(io::ErrorKind::StorageFull), b"text").is_err());
    }

    #[test]
    fn a_failure_commands_no_terminal() {
        assert_eq!(lines("no\n  a\u{1b}[2J\n  b\r"), "no\n  a\\u{1b}[2J\n  b\\r");
        for failure in [Failure::runtime("a\nerror: b"), Failure::usage("a\nerror: b")] {
            let (Failure::Runtime(text) | Failure::Usage(text)) = failure else { panic!("{failure:?}") };
            assert_eq!(text, "a\\nerror: b");
        }
    }

    #[test]
    fn escapes_only_where_they_are_wanted() {
        assert_eq!(Style { coloured: false }.bold("x"), "x");
        assert_eq!(Style { coloured: true }.bold_red("x"), "\u{1b}[1;31mx\u{1b}[0m");
    }
}

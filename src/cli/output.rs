//! The two output streams: who is looking, and writing that a closed pipe does not upset.

use std::io::{self, IsTerminal, Write};

use crate::process::{CommandError, Sanitized, Style};

/// Whether somebody can be asked: the question goes to standard error, the answer comes from standard input.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Writes to standard output. A reader that has gone away (`… | head -1`) has seen what it wanted.
pub(super) fn print(text: impl AsRef<[u8]>) -> Result<(), CommandError> {
    write_to(&mut io::stdout().lock(), text.as_ref())
        .map_err(|error| CommandError::Runtime(format!("standard output cannot be written: {error}")))
}

/// The one place where failures are told. Nobody is left to hear it if that fails.
pub(super) fn report(failure: &CommandError) {
    let style = Style::of_stderr();
    let _heard = match failure {
        CommandError::Interrupted => Ok(()),
        CommandError::Arguments(error) if error.use_stderr() => {
            write_to(&mut io::stderr().lock(), rendered(error, style).as_bytes())
        }
        CommandError::Arguments(help) => {
            write_to(&mut io::stdout().lock(), rendered(help, Style::of_stdout()).as_bytes())
        }
        CommandError::Runtime(text) | CommandError::Usage(text) => {
            let line = format!("{} {}\n", style.bold_red("error:"), lines(text));
            write_to(&mut io::stderr().lock(), line.as_bytes())
        }
    };
}

/// The text with nothing in it that the terminal obeys, but for the ends of its lines: some failures end with a list.
fn lines(text: &str) -> String {
    text.split('\n').map(|line| Sanitized(line).to_string()).collect::<Vec<_>>().join("\n")
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
    }
}

//! Writes to standard output and standard error.

use std::io::{self, Write};

use crate::process::{CommandError, Sanitized, Style};

/// The control sequences that clear a screen (ECMA-48: CUP, ED).
pub(super) const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Writes to standard output. A pipe whose reader has closed it (`… | head -1`) is no error.
pub(super) fn print(text: impl AsRef<[u8]>) -> Result<(), CommandError> {
    print_while_read(text).map(drop)
}

/// As [`print`], and returns whether the stream is still read.
pub(super) fn print_while_read(text: impl AsRef<[u8]>) -> Result<bool, CommandError> {
    let mut stream = io::stdout().lock();
    match stream.write_all(text.as_ref()).and_then(|()| stream.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(unwritable(&error)),
        Ok(()) => Ok(true),
    }
}

fn unwritable(error: &io::Error) -> CommandError {
    CommandError::Runtime(format!("standard output cannot be written: {error}"))
}

/// Writes a line to standard error: a warning, or a line where a prompt was.
pub(super) fn remark(line: &str) {
    // A line that cannot be written changes nothing.
    let _written = write_to(&mut io::stderr().lock(), format!("{}\n", Sanitized(line)).as_bytes());
}

/// Reports an error. This is the only place that prints one.
pub(super) fn report(error: &CommandError) {
    let style = Style::of_stderr();
    // There is no place to report a failed report.
    let _written = match error {
        CommandError::Interrupted => Ok(()),
        CommandError::Command(text, _) if text.is_empty() => Ok(()),
        CommandError::Arguments(refusal) if refusal.use_stderr() => {
            write_to(&mut io::stderr().lock(), rendered(refusal, style).as_bytes())
        }
        CommandError::Arguments(help) => {
            write_to(&mut io::stdout().lock(), rendered(help, Style::of_stdout()).as_bytes())
        }
        CommandError::Runtime(text) | CommandError::Usage(text) | CommandError::Command(text, _) => {
            let line = format!("{} {}\n", style.bold_red("error:"), lines(text));
            write_to(&mut io::stderr().lock(), line.as_bytes())
        }
    };
}

/// The sanitized text with its line breaks: some errors end with a list.
fn lines(text: &str) -> String {
    text.split('\n').map(|line| Sanitized(line).to_string()).collect::<Vec<_>>().join("\n")
}

fn rendered(answer: &clap::Error, style: Style) -> String {
    let text = answer.render();
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
    fn only_a_closed_pipe_is_ignored() {
        assert!(write_to(&mut Fails(io::ErrorKind::BrokenPipe), b"text").is_ok());
        assert!(write_to(&mut Fails(io::ErrorKind::StorageFull), b"text").is_err());
    }

    #[test]
    fn an_error_controls_no_terminal() {
        assert_eq!(lines("no\n  a\u{1b}[2J\n  b\r"), "no\n  a\\u{1b}[2J\n  b\\r");
    }
}

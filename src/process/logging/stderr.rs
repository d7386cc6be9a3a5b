//! Standard error, where the lines of the log go.

use std::io::{self, Write};

use super::queue::write_line;
use crate::process::last_line;

/// Writes each line above the last line of the terminal.
pub(super) struct Stderr;

impl Write for Stderr {
    /// Writes all of a line: the last line of the terminal must not come between its parts.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        last_line::above(|| write_line(&mut io::stderr().lock(), line)).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

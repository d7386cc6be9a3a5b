//! Whether a person is at the terminal of the process.

use std::io::{self, IsTerminal};

/// Whether a prompt is possible: it writes to standard error and reads standard input. A background process cannot read, and once
/// the terminal is closed its reads end at once, for ever.
pub(crate) fn can_prompt() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal() && !is_in_background()
}

/// Whether another process has the terminal, as after `client &` in a shell.
#[cfg(unix)]
pub(super) fn is_in_background() -> bool {
    rustix::termios::tcgetpgrp(io::stderr()).is_ok_and(|group| group != rustix::process::getpgrp())
}

/// Whether another process has the terminal, as after `client &` in a shell.
#[cfg(not(unix))]
pub(super) const fn is_in_background() -> bool {
    false
}

//! How a command ends that fails.

use std::fmt::Display;
use std::process::ExitCode;

use super::sanitize::Sanitized;

/// The exit code of a shell command that Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Why a command failed. The variant decides the exit code.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// Something failed while running; exit code 1. The text is a sentence without its full stop.
    Runtime(String),
    /// The arguments or the configuration have to change; exit code 2. The text is a sentence without its full stop.
    Usage(String),
    /// clap's answer to the arguments. Help and version are answers too, and no errors.
    Arguments(clap::Error),
    /// The command that the client ran ended with this exit code, or could not be started. The text may be empty.
    Command(String, u8),
    /// The user left a prompt with Esc or Ctrl-C; exit code 130, and no text.
    Interrupted,
}

impl CommandError {
    /// A failure while running. The reason may contain texts from outside, so it is kept to one line.
    pub(crate) fn runtime(reason: impl Display) -> Self {
        Self::Runtime(Sanitized(reason).to_string())
    }

    /// Arguments or a configuration that cannot be used, in one line as well.
    pub(crate) fn usage(reason: impl Display) -> Self {
        Self::Usage(Sanitized(reason).to_string())
    }

    /// A command that cannot be started, in one line as well.
    pub(crate) fn command(reason: impl Display, code: u8) -> Self {
        Self::Command(Sanitized(reason).to_string(), code)
    }

    /// The text of the error, without its lines of choices; empty for one that has none.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Runtime(text) | Self::Usage(text) | Self::Command(text, _) => text,
            Self::Arguments(_) | Self::Interrupted => "",
        }
    }

    /// The exit code of the process: 0, 1, 2, 130 or that of a command.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Runtime(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Arguments(error) if error.use_stderr() => ExitCode::from(2),
            Self::Arguments(_) => ExitCode::SUCCESS,
            Self::Command(_, code) => ExitCode::from(*code),
            Self::Interrupted => ExitCode::from(INTERRUPTED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        for error in [CommandError::runtime("a\nerror: b"), CommandError::usage("a\nerror: b")] {
            let (CommandError::Runtime(text) | CommandError::Usage(text)) = error else {
                panic!("{error:?}")
            };
            assert_eq!(text, "a\\nerror: b");
        }
    }
}

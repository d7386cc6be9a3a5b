//! How a command ends when it does not end well.

use std::fmt::Display;
use std::process::ExitCode;

use super::visible::Visible;

/// The exit code of a shell command that Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Why a command failed. Its kind decides the exit code.
#[derive(Debug)]
pub(super) enum Failure {
    /// Something went wrong while running; exit code 1. The text is a sentence without its full stop.
    Runtime(String),
    /// The arguments or the configuration have to be changed; exit code 2. The text is a sentence as well.
    Usage(String),
    /// clap's answer to the arguments. Help and version are answers too, and no errors.
    Arguments(clap::Error),
    /// Whoever was asked pressed Esc or Ctrl-C; exit code 130, and nothing more to say.
    Interrupted,
}

impl Failure {
    /// A failure while running. The reason may hold texts of others, so it is kept to one line.
    pub(super) fn runtime(reason: impl Display) -> Self {
        Self::Runtime(Visible(reason).to_string())
    }

    /// Arguments or configuration that cannot be used, in one line as well.
    pub(super) fn usage(reason: impl Display) -> Self {
        Self::Usage(Visible(reason).to_string())
    }

    /// What the process exits with: 0, 1, 2 or 130.
    pub(super) fn code(&self) -> ExitCode {
        match self {
            Self::Runtime(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Arguments(error) if error.use_stderr() => ExitCode::from(2),
            Self::Arguments(_) => ExitCode::SUCCESS,
            Self::Interrupted => ExitCode::from(INTERRUPTED),
        }
    }
}

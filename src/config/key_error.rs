//! An error at a key of the configuration.

use std::fmt;

use super::key_path::KeyPath;

/// Errors do not repeat longer values, in characters: these are no typing mistakes, and may be a private key in place of
/// its path.
const MAX_QUOTED: usize = 80;

/// A key or value that cannot be used.
#[derive(Debug)]
pub(super) struct KeyError {
    /// The key.
    pub(super) path: KeyPath,
    /// Whether the error is about the key and not about its value.
    pub(super) on_key: bool,
    /// The position in the file, if known without a search for the path.
    pub(super) position: Option<Position>,
    problem: Problem,
}

/// A position in the file; both numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

enum Problem {
    /// A value of another kind than the key takes.
    Unexpected { expected: String, found: String },
    /// A path with an environment variable that is not set.
    Unset(String),
    /// A value that has the right kind, and a sentence that begins with it.
    Refused { value: String, reason: String },
    /// Anything else, as a sentence.
    Other(String),
}

/// Without the value, and without sentences that may repeat it: it may be secret until [`KeyError::hide_value`] ran.
impl fmt::Debug for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected { expected, .. } => {
                formatter.debug_struct("Unexpected").field("expected", expected).finish_non_exhaustive()
            }
            Self::Unset(_) => formatter.write_str("Unset(..)"),
            Self::Refused { reason, .. } => {
                formatter.debug_struct("Refused").field("reason", reason).finish_non_exhaustive()
            }
            Self::Other(_) => formatter.write_str("Other(..)"),
        }
    }
}

impl KeyError {
    /// An error about the value at `path`.
    pub(super) fn of_value(path: KeyPath, reason: impl Into<String>) -> Self {
        Self { path, on_key: false, position: None, problem: Problem::Other(reason.into()) }
    }

    /// An error about the key at `path`, or about a section that lacks a key; `reason` repeats no values.
    pub(super) fn of_key(path: KeyPath, reason: impl Into<String>) -> Self {
        Self { path, on_key: true, position: None, problem: Problem::Other(reason.into()) }
    }

    /// An error about a value of another kind than the key takes.
    pub(super) fn unexpected(expected: impl Into<String>, found: impl Into<String>) -> Self {
        let problem = Problem::Unexpected { expected: expected.into(), found: found.into() };
        Self { path: KeyPath::default(), on_key: false, position: None, problem }
    }

    /// An error about the path at `path`, which has an environment variable that is not set.
    pub(super) fn of_unset(path: KeyPath, reason: String) -> Self {
        Self { path, on_key: false, position: None, problem: Problem::Unset(reason) }
    }

    /// Whether the path of a file has an environment variable that is not set. That is no error where the file is not used.
    pub(super) fn is_unset(&self) -> bool {
        matches!(self.problem, Problem::Unset(_))
    }

    /// An error about the value at `path`: `value` (quoted) and `reason` make the sentence, and only `value` repeats it.
    pub(super) fn refused(path: KeyPath, value: String, reason: impl Into<String>) -> Self {
        Self {
            path,
            on_key: false,
            position: None,
            problem: Problem::Refused { value, reason: reason.into() },
        }
    }

    /// The same error at this position.
    pub(super) fn at(self, position: Option<Position>) -> Self {
        Self { position, ..self }
    }

    /// The same error at this path, unless it has one already, which is more exact.
    pub(super) fn below(self, path: &KeyPath) -> Self {
        if self.path.0.is_empty() { Self { path: path.clone(), ..self } } else { self }
    }

    /// The same error without the value, which may be secret: it replaced `reference` (such as `${fromEnv:NAME}`).
    pub(super) fn hide_value(self, reference: &str) -> Self {
        let problem = match self.problem {
            Problem::Unexpected { expected, .. } => {
                Problem::Unexpected { expected, found: format!("something else in {reference}") }
            }
            Problem::Unset(_) | Problem::Other(_) => {
                Problem::Other(format!("the value of {reference} cannot be used here"))
            }
            Problem::Refused { reason, .. } => {
                Problem::Refused { value: format!("the value of {reference}"), reason }
            }
        };
        Self { problem, ..self }
    }

    /// The cause, without the position.
    pub(super) fn reason(&self) -> String {
        match &self.problem {
            Problem::Unexpected { expected, found } => format!("expected {expected}, found {found}"),
            Problem::Refused { value, reason } => format!("{value} {reason}"),
            Problem::Unset(reason) | Problem::Other(reason) => reason.clone(),
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.reason())
    }
}

impl std::error::Error for KeyError {}

/// A value as errors quote it.
pub(super) fn quoted(text: &str) -> String {
    if text.chars().count() > MAX_QUOTED || text.contains("-----BEGIN") {
        return "a long text".into();
    }
    format!("`{}`", text.escape_debug())
}

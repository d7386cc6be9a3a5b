//! A fault in a configuration: at which key, and what it is.

use std::fmt;

use super::key_path::KeyPath;

/// Longer values are not repeated in an error: they are no slip of the pen, and may be a key pasted where its path
/// belongs.
const LONGEST_ECHO: usize = 80;

/// Something that cannot be used.
#[derive(Debug)]
pub(super) struct KeyError {
    /// Where.
    pub(super) path: KeyPath,
    /// Whether the key itself is meant, not its value.
    pub(super) on_key: bool,
    /// The place in the file, where it is known without looking for the path.
    pub(super) position: Option<Position>,
    problem: Problem,
}

/// A place in the file, both numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

enum Problem {
    /// A value is not what was expected.
    Unexpected { expected: String, found: String },
    /// Anything else, as a sentence.
    Said(String),
}

/// Without what was found, and without sentences that repeat it: [`KeyError::hide_value`] may follow.
impl fmt::Debug for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected { expected, .. } => {
                formatter.debug_struct("Unexpected").field("expected", expected).finish_non_exhaustive()
            }
            Self::Said(_) => formatter.write_str("Said(..)"),
        }
    }
}

impl KeyError {
    /// A fault of the value at `path`.
    pub(super) fn of_value(path: KeyPath, reason: impl Into<String>) -> Self {
        Self { path, on_key: false, position: None, problem: Problem::Said(reason.into()) }
    }

    /// A fault of the key at `path`, or of a section that lacks it; `reason` repeats no values.
    pub(super) fn of_key(path: KeyPath, reason: impl Into<String>) -> Self {
        Self { path, on_key: true, position: None, problem: Problem::Said(reason.into()) }
    }

    /// A value of another kind than the key takes.
    pub(super) fn unexpected(expected: impl Into<String>, found: impl Into<String>) -> Self {
        let problem = Problem::Unexpected { expected: expected.into(), found: found.into() };
        Self { path: KeyPath::default(), on_key: false, position: None, problem }
    }

    /// The same fault, at a place that is known.
    pub(super) fn at(self, position: Option<Position>) -> Self {
        Self { position, ..self }
    }

    /// Decoding notes the path from the inside out.
    pub(super) fn after_decoding(mut self) -> Self {
        self.path.0.reverse();
        self
    }

    /// The same error about a value that `reference` was replaced with: the value may be secret, so it leaves the text.
    pub(super) fn hide_value(self, reference: &str) -> Self {
        let problem = match self.problem {
            Problem::Unexpected { expected, .. } => {
                Problem::Unexpected { expected, found: format!("something else in {reference}") }
            }
            Problem::Said(_) => {
                Problem::Said(format!("the value that {reference} gives cannot be used here"))
            }
        };
        Self { problem, ..self }
    }

    /// What is wrong, without the place.
    pub(super) fn reason(&self) -> String {
        match &self.problem {
            Problem::Unexpected { expected, found } => format!("expected {expected}, found {found}"),
            Problem::Said(reason) => reason.clone(),
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.reason())
    }
}

impl std::error::Error for KeyError {}

/// A value, for an error.
pub(super) fn echo(text: &str) -> String {
    if text.chars().count() > LONGEST_ECHO || text.contains("-----BEGIN") {
        return "a long text".into();
    }
    format!("`{}`", text.escape_debug())
}

//! Why a configuration cannot be loaded.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::key_error::{KeyError, Position};

/// The configuration cannot be used. The text names file, line and key, and says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no configuration file at any of the paths.
    #[error("no configuration file was found; looked for {}", List(looked_at))]
    NotFound {
        /// Every path that was tried, in order.
        looked_at: Vec<PathBuf>,
    },
    /// The file that a flag or a variable names does not exist.
    #[error("the configuration file {} does not exist; {remedy}", path.display())]
    Missing {
        /// Its path.
        path: PathBuf,
        /// What to change.
        remedy: &'static str,
    },
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The name of the file says that it is neither YAML nor JSON.
    #[error(
        "the configuration file {} is {format} by its name, and this program reads YAML and JSON; convert it to config.yaml, \
         or rename it if it is YAML",
        path.display()
    )]
    OtherFormat {
        /// Its path.
        path: PathBuf,
        /// The format, such as `TOML`.
        format: &'static str,
    },
    /// The content of the file is not valid.
    #[error("{}{}: {reason}", At { path, line: *line, column: *column }, Key(key))]
    Invalid {
        /// The path of the file.
        path: PathBuf,
        /// The line, from 1, if known.
        line: Option<usize>,
        /// The column, from 1, if known.
        column: Option<usize>,
        /// The key, such as `proxy.listen_addr`; empty if the error is about the whole file.
        key: String,
        /// The cause and the remedy.
        reason: String,
    },
}

impl ConfigError {
    pub(super) fn invalid(path: &Path, position: Option<Position>, error: &KeyError) -> Self {
        Self::Invalid {
            path: path.to_owned(),
            line: position.map(|position| position.line),
            column: position.map(|position| position.column),
            key: error.path.to_string(),
            reason: error.reason(),
        }
    }
}

/// `FILE:LINE:COLUMN`, which editors and terminals turn into a link.
struct At<'a> {
    path: &'a Path,
    line: Option<usize>,
    column: Option<usize>,
}

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.path.display())?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(formatter, ":{number}")?;
        }
        Ok(())
    }
}

struct Key<'a>(&'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.0) }
    }
}

struct List<'a>(&'a [PathBuf]);

impl fmt::Display for List<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{}", path.display())?;
        }
        Ok(())
    }
}

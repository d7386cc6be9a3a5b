//! The path of a key.

use std::fmt;

/// The keys and list indexes that lead to a value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPath(pub(super) Vec<Step>);

/// One element of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// The path of these keys, each in the section of the one before.
    pub(super) fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    /// The path of a key below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Key(key.to_owned()));
        path
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(number) => write!(formatter, "[{number}]")?,
                Step::Key(key) => {
                    let dot = if index == 0 { "" } else { "." };
                    let plain = key.chars().all(|letter| letter.is_alphanumeric() || "-_".contains(letter));
                    let quote = if plain { "" } else { "\"" };
                    write!(formatter, "{dot}{quote}{}{quote}", key.escape_debug())?;
                }
            }
        }
        Ok(())
    }
}

//! YAML as a tree that keeps the letters of every scalar.

use std::fmt;

/// A YAML value.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Tree {
    /// A key without a value.
    Null,
    /// A text, number or boolean, with the letters of the file.
    Scalar(String),
    /// A list.
    List(Vec<Tree>),
    /// A section: its keys, which differ, and their values.
    Section(Vec<(String, Tree)>),
}

/// Keys and shape; a value may come from outside the file and be secret.
impl fmt::Debug for Tree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("Null"),
            Self::Scalar(_) => formatter.write_str("Scalar(..)"),
            Self::List(items) => formatter.debug_list().entries(items).finish(),
            Self::Section(entries) => {
                formatter.debug_map().entries(entries.iter().map(|(key, value)| (key, value))).finish()
            }
        }
    }
}

impl Tree {
    /// Whether it has any value; not if all values are commented out. An explicit empty section, `{}`, is a value.
    pub(super) fn has_values(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Section(entries) => {
                entries.is_empty() || entries.iter().any(|(_, value)| value.has_values())
            }
            Self::Scalar(_) | Self::List(_) => true,
        }
    }
}

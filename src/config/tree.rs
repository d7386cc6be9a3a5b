//! YAML as a tree that keeps the letters of every scalar.

use std::fmt;

/// A YAML value.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Tree {
    /// Nothing behind the key.
    Null,
    /// A text, number or boolean, in the letters of the file.
    Scalar(String),
    /// A list.
    List(Vec<Tree>),
    /// A section: keys, no two alike, and their values.
    Section(Vec<(String, Tree)>),
}

/// Keys and shape. A value may have come from outside the file, and is nobody's business then.
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
    /// Whether no value is left in it, as where everything was commented out. An empty section that is written down,
    /// `{}`, is a value.
    pub(super) fn says_nothing(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Section(entries) => {
                !entries.is_empty() && entries.iter().all(|(_, value)| value.says_nothing())
            }
            Self::Scalar(_) | Self::List(_) => false,
        }
    }
}

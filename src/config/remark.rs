//! Remarks on a configuration that can be used.

use super::key_path::KeyPath;

/// A key that is read in another way than its author may expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The key, such as `proxy.ssl.enabled`.
    pub key: String,
    /// How it is read, and what to write instead; without values.
    pub text: &'static str,
}

impl Remark {
    /// A boolean that is neither `true` nor `false`.
    pub(super) fn boolean(key: &KeyPath, value: bool) -> Self {
        let text = if value {
            "this boolean is read as true; write true"
        } else {
            "this boolean is read as false; write false"
        };
        Self { key: key.to_string(), text }
    }

    /// A key before a merge key that has another value for it.
    pub(super) fn before_merge(key: &KeyPath) -> Self {
        let text = "this value counts, and not that of the merge key (<<) behind it, which counts in the Go program; \
                    put << first";
        Self { key: key.to_string(), text }
    }
}

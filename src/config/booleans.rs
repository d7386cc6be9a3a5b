//! The words for booleans.

/// The words of YAML 1.1 (<https://yaml.org/type/bool.html>) and of the Go program's decoder, in any case.
const WORDS: [(&str, bool); 12] = [
    ("true", true),
    ("false", false),
    ("yes", true),
    ("no", false),
    ("on", true),
    ("off", false),
    ("y", true),
    ("n", false),
    ("t", true),
    ("f", false),
    ("1", true),
    ("0", false),
];

/// The value of the word, and whether the word is one of YAML 1.2: `true` or `false`.
pub(super) fn read(word: &str) -> Option<(bool, bool)> {
    let known = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word))?;
    Some((known.1, matches!(known.0, "true" | "false")))
}

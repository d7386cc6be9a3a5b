//! The regular expressions of `dynamic_services`.

use regex::{Regex, RegexBuilder};

use crate::config::key_error::{KeyError, quoted};
use crate::config::key_path::{KeyPath, Step};

/// The most bytes of a compiled expression. The library has no expression that takes long to match.
const MAX_SIZE: usize = 256 * 1024;

/// The most expressions of one list.
const MAX_PATTERNS: usize = 100;

/// Which files of a directory are read.
#[derive(Clone, Default)]
pub(super) struct Patterns {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
}

impl Patterns {
    pub(super) fn compile(include: &[String], exclude: &[String], path: &KeyPath) -> Result<Self, KeyError> {
        Ok(Self {
            include: compile(include, &path.key("include_patterns"))?,
            exclude: compile(exclude, &path.key("exclude_patterns"))?,
        })
    }

    /// Whether the file is read. An expression matches from the beginning of the path, as Python's `re.match` does, or from
    /// the beginning of the name: `^dev-` and `^\..*`, which CredProxy's documentation has, mean names. Those that exclude
    /// come first.
    pub(super) fn admit(&self, path: &str, name: &str) -> bool {
        let matches = |pattern: &Regex| pattern.is_match(path) || pattern.is_match(name);
        !self.exclude.iter().any(matches) && (self.include.is_empty() || self.include.iter().any(matches))
    }
}

fn compile(patterns: &[String], path: &KeyPath) -> Result<Vec<Regex>, KeyError> {
    if patterns.len() > MAX_PATTERNS {
        return Err(KeyError::of_key(path.clone(), "a list has at most 100 patterns"));
    }
    let compiled = patterns.iter().enumerate().map(|(index, pattern)| {
        let anchored = format!("^(?:{pattern})");
        RegexBuilder::new(&anchored).size_limit(MAX_SIZE).build().map_err(|_| {
            let mut at = path.clone();
            at.0.push(Step::Index(index));
            let reason = "is no regular expression that this program can use; it has no look-around and no \
                          back-references, and a limit for the size";
            KeyError::refused(at, quoted(pattern), reason)
        })
    });
    compiled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(include: &[&str], exclude: &[&str], path: &str) -> bool {
        let [include, exclude] =
            [include, exclude].map(|list| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        let patterns = Patterns::compile(&include, &exclude, &KeyPath::default()).unwrap();
        patterns.admit(path, path.rsplit('/').next().unwrap())
    }

    #[test]
    fn exclusion_comes_first_and_no_pattern_includes_all() {
        assert!(admitted(&[], &[], "/d/a.yaml"));
        assert!(admitted(&[r".*\.yaml$", r".*\.yml$"], &[], "/d/a.yml"));
        assert!(!admitted(&[r".*\.yaml$"], &[], "/d/a.json"));
        assert!(!admitted(&[r".*\.yaml$"], &[r".*\.bak\.yaml$"], "/d/a.bak.yaml"));
        assert!(!admitted(&[], &[r"^\..*", r".*~$"], "/d/.hidden.yaml"));
        assert!(admitted(&[r"^dev-.*\.yaml$"], &[r"^\..*"], "/d/dev-a.yaml"));
        assert!(!admitted(&[r"^dev-.*\.yaml$"], &[], "/d/prod-dev-a.yaml"));
        assert!(admitted(&["/d/team/"], &[], "/d/team/a.yaml"), "a prefix matches");
        assert!(!admitted(&["team/"], &[], "/d/team/a.yaml"), "a part in the middle does not");
        assert!(admitted(&["(?i).*\\.YAML$"], &[], "/d/a.yaml"));
        assert!(!admitted(&[r"A\.yaml"], &[], "/d/a.yaml"));
        assert!(admitted(&["x|/d/"], &[], "/d/x"), "the anchor holds for each alternative");
    }

    #[test]
    fn what_cannot_be_bounded_is_refused() {
        for pattern in ["(", "(?=a)", r"(a)\1", "(a{1000}){1000}"] {
            assert!(compile(&[pattern.to_owned()], &KeyPath::default()).is_err(), "{pattern}");
        }
        assert!(compile(&vec!["a".to_owned(); 101], &KeyPath::default()).is_err());
    }
}

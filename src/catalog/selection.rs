//! Which targets a client serves: names, and patterns of names.

use super::names::is_same;

/// A target by its name, or all targets whose names match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePattern {
    /// This name, in any case.
    Exact(String),
    /// In it `*` stands for any characters, `?` for one; case does not count.
    Glob(String),
}

impl NamePattern {
    /// All targets.
    #[must_use]
    pub fn all() -> Self {
        Self::Glob("*".into())
    }

    /// The pattern or name that somebody typed.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.contains(['*', '?']) { Self::Glob(text.into()) } else { Self::Exact(text.into()) }
    }

    /// Whether a target of this name is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(wanted) => is_same(wanted, name),
            Self::Glob(pattern) => glob(&pattern.to_lowercase(), &name.to_lowercase()),
        }
    }
}

/// Compares with one pass over the name for each character of the pattern, however many `*` it has.
fn glob(pattern: &str, name: &str) -> bool {
    let name: Vec<_> = name.chars().collect();
    // For each length of the name's beginning: whether the pattern up to here matches it.
    let mut matched: Vec<_> = std::iter::once(true).chain(std::iter::repeat_n(false, name.len())).collect();
    for wanted in pattern.chars() {
        matched = if wanted == '*' {
            let from_here_on = |any: &mut bool, now: &bool| {
                *any |= *now;
                Some(*any)
            };
            matched.iter().scan(false, from_here_on).collect()
        } else {
            let one_more = |(found, before): (&char, &bool)| *before && (wanted == '?' || wanted == *found);
            std::iter::once(false).chain(name.iter().zip(&matched).map(one_more)).collect()
        };
    }
    matched.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_in_any_case() {
        for (pattern, matching, others) in [
            ("orders*", &["orders", "Orders-EU", "orders:writer"][..], &["my-orders", "order"][..]),
            ("*-db", &["a-db", "-db"], &["a-db-2", "db"]),
            ("db-?", &["db-1", "DB-ü"], &["db-", "db-10"]),
            ("a*b*c", &["abc", "aXbXbYc"], &["abcd", "acb"]),
            ("*", &["", "anything"], &[]),
            ("name", &["name", "NAME"], &["names", "nam"]),
        ] {
            let pattern = NamePattern::of(pattern);
            assert!(matching.iter().all(|name| pattern.matches(name)), "{pattern:?}");
            assert!(!others.iter().any(|name| pattern.matches(name)), "{pattern:?}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = NamePattern::of(&"*a".repeat(500));
        assert!(!pattern.matches(&"a".repeat(499)));
    }
}

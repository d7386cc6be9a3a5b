//! Patterns for names of targets, as people type them on a command line.

use crate::net::HostPort;

/// A name in which `*` stands for any text, also none, and `?` for one character. Upper and lower case are the same, as in all names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// In lower case.
    letters: Vec<char>,
}

impl Pattern {
    /// Every text is a pattern.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), letters: text.to_lowercase().chars().collect() }
    }

    /// The pattern as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a name: nothing in it stands for other text.
    #[must_use]
    pub fn is_name(&self) -> bool {
        !self.letters.iter().any(|letter| matches!(letter, '*' | '?'))
    }

    /// Whether it is this address, `HOST:PORT`.
    #[must_use]
    pub fn is_address(&self, address: &HostPort) -> bool {
        self.text.parse::<HostPort>().is_ok_and(|typed| typed == *address)
    }

    /// Whether the whole name fits.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<_> = name.to_lowercase().chars().collect();
        let (mut pattern, mut rest) = (self.letters.as_slice(), name.as_slice());
        // Where to go on if the text behind the last `*` does not fit: the pattern behind it, and the name one character later.
        let mut retry = None;
        loop {
            match (pattern.split_first(), rest.split_first()) {
                (Some(('*', behind)), _) => {
                    retry = Some((behind, rest));
                    pattern = behind;
                }
                (Some((wanted, behind)), Some((found, left))) if *wanted == '?' || wanted == found => {
                    (pattern, rest) = (behind, left);
                }
                (None, None) => return true,
                _ => {
                    let Some((behind, from)) = retry else { return false };
                    let Some((_, from)) = from.split_first() else { return false };
                    retry = Some((behind, from));
                    (pattern, rest) = (behind, from);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_a_question_mark_for_one_character() {
        for (pattern, fitting, others) in [
            ("orders", &["orders", "Orders"][..], &["orders2", "order", ""][..]),
            ("ORDERS*", &["orders", "orders-2", "orders:writer"], &["my-orders"]),
            ("*:writer", &["a:writer", ":writer"], &["writer", "a:writer2"]),
            ("a*b*c", &["abc", "aXbXc", "abbbcc", "ab-bc-c"], &["ac", "abcX", "Xabc"]),
            ("db-?", &["db-1", "db-ü"], &["db-", "db-10"]),
            ("*", &["", "anything", "a\nb"], &[]),
            ("**?", &["x", "xyz"], &[""]),
            ("", &[""], &["x"]),
            ("prod/*", &["prod/orders"], &["prod"]),
        ] {
            let pattern = Pattern::new(pattern);
            assert!(fitting.iter().all(|name| pattern.matches(name)), "{pattern:?} {fitting:?}");
            assert!(!others.iter().any(|name| pattern.matches(name)), "{pattern:?} {others:?}");
        }
    }

    #[test]
    fn a_name_has_nothing_that_stands_for_other_text() {
        assert!(Pattern::new("orders:writer").is_name());
        assert!(!Pattern::new("orders:*").is_name() && !Pattern::new("db-?").is_name());
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = Pattern::new(&"a*".repeat(200));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(150))));
        assert!(pattern.matches(&"a".repeat(5000)));
    }
}

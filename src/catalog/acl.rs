//! The access list over RDS tags.

use std::fmt;

/// A tag of an RDS resource. Names and values compare exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The key of the tag.
    pub name: String,
    /// Its value, possibly empty.
    pub value: String,
}

/// Which discovered databases may be reached: those with all allowed tags and no blocked one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// The database must have all of these. An empty list allows every database.
    pub allowed: Vec<Tag>,
    /// A database with one of these is refused, whatever `allowed` has.
    pub blocked: Vec<Tag>,
}

/// Why the access list refuses a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has a tag of `blocked_rds_tags`.
    Blocked(Tag),
    /// It lacks a tag of `allowed_rds_tags`, or has it with another value.
    Missing(Tag),
}

impl Acl {
    /// Whether it allows every database.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.blocked.is_empty()
    }

    /// Checks a database with these tags.
    pub fn check(&self, tags: &[Tag]) -> Result<(), Refusal> {
        if let Some(tag) = self.blocked.iter().find(|tag| tags.contains(tag)) {
            return Err(Refusal::Blocked(tag.clone()));
        }
        match self.allowed.iter().find(|tag| !tags.contains(tag)) {
            Some(tag) => Err(Refusal::Missing(tag.clone())),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(tag) => write!(formatter, "its RDS tag {tag} is in blocked_rds_tags"),
            Self::Missing(tag) => write!(formatter, "it lacks the RDS tag {tag} of allowed_rds_tags"),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str, value: &str) -> Tag {
        Tag { name: name.into(), value: value.into() }
    }

    #[test]
    fn an_empty_list_allows_everything() {
        assert_eq!(Acl::default().check(&[tag("a", "1")]), Ok(()));
        assert_eq!(Acl::default().check(&[]), Ok(()));
    }

    #[test]
    fn all_allowed_tags_must_match_exactly() {
        let acl = Acl { allowed: vec![tag("a", "1"), tag("b", "2")], blocked: vec![] };
        assert_eq!(acl.check(&[tag("b", "2"), tag("a", "1"), tag("c", "3")]), Ok(()));
        assert_eq!(acl.check(&[tag("a", "1")]), Err(Refusal::Missing(tag("b", "2"))));
        assert_eq!(acl.check(&[tag("a", "1"), tag("b", "TWO")]), Err(Refusal::Missing(tag("b", "2"))));
        assert_eq!(acl.check(&[tag("A", "1"), tag("b", "2")]), Err(Refusal::Missing(tag("a", "1"))));
    }

    #[test]
    fn one_blocked_tag_beats_all_allowed_ones() {
        let acl = Acl { allowed: vec![tag("a", "1")], blocked: vec![tag("x", "1"), tag("y", "1")] };
        assert_eq!(acl.check(&[tag("a", "1"), tag("y", "1")]), Err(Refusal::Blocked(tag("y", "1"))));
        assert_eq!(acl.check(&[tag("a", "1"), tag("y", "0")]), Ok(()));
    }
}

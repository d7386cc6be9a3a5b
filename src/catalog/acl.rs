//! The access list over RDS tags.

use std::fmt;
use std::sync::Arc;

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
    /// A database with one of these, or with a related resource that has one, is refused, whatever `allowed` has.
    pub blocked: Vec<Tag>,
}

/// A resource whose blocked tags apply to a database too, although it is another resource in RDS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// What it is to the database.
    pub kind: RelatedKind,
    /// Its identifier in RDS.
    pub name: String,
    /// Its own tags.
    pub tags: Vec<Tag>,
}

/// What a resource is to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelatedKind {
    /// The cluster that an instance is a member of.
    Cluster,
    /// An instance that an endpoint of a cluster can lead to.
    Instance,
}

/// Why the access list refuses a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has a tag of `blocked_rds_tags`.
    Blocked(Tag),
    /// A related resource has a tag of `blocked_rds_tags`.
    BlockedBy {
        /// The tag.
        tag: Tag,
        /// What the resource is to the database.
        kind: RelatedKind,
        /// The identifier of the resource.
        name: String,
    },
    /// It lacks a tag of `allowed_rds_tags`, or has it with another value.
    Missing(Tag),
}

impl Acl {
    /// Whether it allows every database.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.blocked.is_empty()
    }

    /// Checks a database with these tags and these related resources.
    pub fn check(&self, tags: &[Tag], related: &[Arc<Related>]) -> Result<(), Refusal> {
        if let Some(tag) = self.blocked_in(tags) {
            return Err(Refusal::Blocked(tag.clone()));
        }
        for Related { kind, name, tags } in related.iter().map(AsRef::as_ref) {
            if let Some(tag) = self.blocked_in(tags) {
                return Err(Refusal::BlockedBy { tag: tag.clone(), kind: *kind, name: name.clone() });
            }
        }
        match self.allowed.iter().find(|tag| !tags.contains(tag)) {
            Some(tag) => Err(Refusal::Missing(tag.clone())),
            None => Ok(()),
        }
    }

    fn blocked_in(&self, tags: &[Tag]) -> Option<&Tag> {
        self.blocked.iter().find(|tag| tags.contains(tag))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(tag) => write!(formatter, "its RDS tag {tag} is in blocked_rds_tags"),
            Self::BlockedBy { tag, kind: RelatedKind::Cluster, name } => {
                write!(formatter, "the RDS tag {tag} of its cluster \"{name}\" is in blocked_rds_tags")
            }
            Self::BlockedBy { tag, kind: RelatedKind::Instance, name } => write!(
                formatter,
                "it can lead to the instance \"{name}\", whose RDS tag {tag} is in blocked_rds_tags"
            ),
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

    fn check(acl: &Acl, tags: &[Tag]) -> Result<(), Refusal> {
        acl.check(tags, &[])
    }

    #[test]
    fn an_empty_list_allows_everything() {
        assert_eq!(check(&Acl::default(), &[tag("a", "1")]), Ok(()));
        assert_eq!(check(&Acl::default(), &[]), Ok(()));
    }

    #[test]
    fn all_allowed_tags_must_match_exactly() {
        let acl = Acl { allowed: vec![tag("a", "1"), tag("b", "2")], blocked: vec![] };
        assert_eq!(check(&acl, &[tag("b", "2"), tag("a", "1"), tag("c", "3")]), Ok(()));
        assert_eq!(check(&acl, &[tag("a", "1")]), Err(Refusal::Missing(tag("b", "2"))));
        assert_eq!(check(&acl, &[tag("a", "1"), tag("b", "TWO")]), Err(Refusal::Missing(tag("b", "2"))));
        assert_eq!(check(&acl, &[tag("A", "1"), tag("b", "2")]), Err(Refusal::Missing(tag("a", "1"))));
    }

    #[test]
    fn one_blocked_tag_beats_all_allowed_ones() {
        let acl = Acl { allowed: vec![tag("a", "1")], blocked: vec![tag("x", "1"), tag("y", "1")] };
        assert_eq!(check(&acl, &[tag("a", "1"), tag("y", "1")]), Err(Refusal::Blocked(tag("y", "1"))));
        assert_eq!(check(&acl, &[tag("a", "1"), tag("y", "0")]), Ok(()));
    }

    #[test]
    fn a_blocked_tag_of_a_related_resource_blocks_and_an_allowed_one_does_not_allow() {
        let related =
            |kind, name: &str, tags: &[Tag]| Arc::new(Related { kind, name: name.into(), tags: tags.into() });
        let acl = Acl { allowed: vec![tag("a", "1")], blocked: vec![tag("x", "1")] };
        let harmless = related(RelatedKind::Instance, "one", &[tag("x", "0")]);
        for (kind, text) in [
            (RelatedKind::Cluster, r#"the RDS tag x=1 of its cluster "two" is in blocked_rds_tags"#),
            (
                RelatedKind::Instance,
                r#"it can lead to the instance "two", whose RDS tag x=1 is in blocked_rds_tags"#,
            ),
        ] {
            let blocked = related(kind, "two", &[tag("b", "1"), tag("x", "1")]);
            let refusal = acl.check(&[tag("a", "1")], &[Arc::clone(&harmless), blocked]).unwrap_err();
            assert_eq!(refusal.to_string(), text);
        }
        assert_eq!(acl.check(&[tag("a", "1")], &[harmless]), Ok(()));
        let allowed = related(RelatedKind::Cluster, "three", &[tag("a", "1")]);
        assert_eq!(
            acl.check(&[], &[allowed]),
            Err(Refusal::Missing(tag("a", "1"))),
            "its own tags have to allow it"
        );
    }
}

//! A section, or a list of such sections.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The sections in their order.
pub(super) struct OneOrMany<T> {
    pub(super) sections: Vec<T>,
    /// Whether they are written as a list.
    pub(super) is_list: bool,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SectionsVisitor(PhantomData))
    }
}

struct SectionsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SectionsVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a section of keys, or a list of such sections")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<OneOrMany<T>, A::Error> {
        let section = T::deserialize(MapAccessDeserializer::new(entries))?;
        Ok(OneOrMany { sections: vec![section], is_list: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<OneOrMany<T>, A::Error> {
        let sections = Vec::deserialize(SeqAccessDeserializer::new(items))?;
        Ok(OneOrMany { sections, is_list: true })
    }
}

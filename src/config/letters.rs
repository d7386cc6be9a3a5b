//! The letters of the scalars in YAML text.
//!
//! YAML changes `True`, `1.10` and `0x10` to other values, but the value of an RDS tag is its letters. So the text is parsed
//! twice: once for its shape and once for the letters of numbers and booleans.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::tree::Tree;

/// Puts the letters of the text into the scalars of a tree of the same text.
pub(super) fn restore(text: &str, tree: &mut Tree) -> Result<(), serde_yaml::Error> {
    Letters(tree).deserialize(serde_yaml::Deserializer::from_str(text))
}

struct Letters<'a>(&'a mut Tree);

impl<'de> DeserializeSeed<'de> for Letters<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            Tree::Null => deserializer.deserialize_ignored_any(self),
            Tree::Scalar(_) => deserializer.deserialize_str(self),
            Tree::List(_) => deserializer.deserialize_seq(self),
            Tree::Section(_) => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Letters<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the value of the first parse")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, letters: &str) -> Result<(), E> {
        *self.0 = Tree::Scalar(letters.to_owned());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Tree::List(list) = self.0 else { return Ok(()) };
        for item in list {
            items.next_element_seed(Letters(item))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Tree::Section(section) = self.0 else { return Ok(()) };
        for (_, value) in section {
            entries.next_key::<String>()?;
            entries.next_value_seed(Letters(value))?;
        }
        Ok(())
    }
}

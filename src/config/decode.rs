//! Decodes a tree with serde; errors carry their key path.
//!
//! serde gets every scalar as text, and the type of the field parses it: `8000` and `"8000"` are the same port.

use std::fmt::Display;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::key_error::{KeyError, quoted};
use super::key_path::{KeyPath, Step};
use super::tree::Tree;

impl<'de> Deserializer<'de> for &'de Tree {
    type Error = KeyError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        match self {
            Tree::Null => visitor.visit_unit(),
            Tree::Scalar(text) => visitor.visit_borrowed_str(text),
            Tree::List(items) => visitor.visit_seq(Items { left: items.iter(), index: 0 }),
            Tree::Section(entries) => visitor.visit_map(Entries { left: entries.iter(), value: None }),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        match self {
            Tree::Scalar(text) if text.eq_ignore_ascii_case("true") => visitor.visit_bool(true),
            Tree::Scalar(text) if text.eq_ignore_ascii_case("false") => visitor.visit_bool(false),
            Tree::Null | Tree::Scalar(_) | Tree::List(_) | Tree::Section(_) => {
                Err(KeyError::unexpected("true or false", describe(self)))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        if matches!(self, Tree::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// A key without a value is an empty section.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        match self {
            Tree::Null => visitor.visit_map(Entries { left: [].iter(), value: None }),
            Tree::Section(_) => self.deserialize_any(visitor),
            Tree::Scalar(_) | Tree::List(_) => Err(KeyError::unexpected("a section of keys", describe(self))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, KeyError> {
        self.deserialize_map(visitor)
    }

    /// A key without a value is an empty list.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        match self {
            Tree::Null => visitor.visit_seq(Items { left: [].iter(), index: 0 }),
            Tree::List(_) => self.deserialize_any(visitor),
            Tree::Scalar(_) | Tree::Section(_) => Err(KeyError::unexpected("a list", describe(self))),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        match self {
            Tree::Scalar(text) => visitor.visit_borrowed_str(text),
            Tree::Null | Tree::List(_) | Tree::Section(_) => {
                Err(KeyError::unexpected("a text", describe(self)))
            }
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        self.deserialize_str(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct
        tuple tuple_struct enum identifier ignored_any
    }
}

struct Items<'de> {
    left: std::slice::Iter<'de, Tree>,
    index: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = KeyError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, KeyError> {
        let Some(item) = self.left.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(item).map(Some).map_err(|error| with_step(error, Step::Index(index)))
    }
}

struct Entries<'de> {
    left: std::slice::Iter<'de, (String, Tree)>,
    /// The entry of the key that serde read last.
    value: Option<&'de (String, Tree)>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = KeyError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, KeyError> {
        self.value = self.left.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        let deserializer: StrDeserializer<'de, KeyError> = key.as_str().into_deserializer();
        seed.deserialize(deserializer).map(Some).map_err(|error| with_step(error, Step::Key(key.clone())))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, KeyError> {
        let Some((key, value)) = self.value else {
            return Err(de::Error::custom("serde reads a value before its key"));
        };
        seed.deserialize(value).map_err(|error| with_step(error, Step::Key(key.clone())))
    }
}

/// Appends a step; [`KeyError::after_decoding`] reverses the path.
fn with_step(mut error: KeyError, step: Step) -> KeyError {
    error.path.0.push(step);
    error
}

impl de::Error for KeyError {
    fn custom<T: Display>(text: T) -> Self {
        Self::of_value(KeyPath::default(), text.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_value(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Str(text) => quoted(text),
            Unexpected::Unit => "nothing".into(),
            Unexpected::Seq => "a list".into(),
            Unexpected::Map => "a section of keys".into(),
            other => other.to_string(),
        };
        Self::unexpected(expected.to_string(), found)
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::of_key(KeyPath::default(), format!("there is no such key; {}", suggestion(field, known)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of_key(KeyPath::default(), format!("the key `{field}` is missing here"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::of_key(KeyPath::default(), format!("this is another name of `{field}`, which is set already"))
    }
}

fn describe(tree: &Tree) -> String {
    match tree {
        Tree::Null => "nothing".into(),
        Tree::Scalar(text) => quoted(text),
        Tree::List(_) => "a list".into(),
        Tree::Section(_) => "a section of keys".into(),
    }
}

/// The most similar of the known names, or all of them if none is similar.
fn suggestion(unknown: &str, known: &[&str]) -> String {
    let plain = unknown.to_lowercase().replace('-', "_");
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&plain, name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance);
    match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("the keys here are {}", known.join(", ")),
    }
}

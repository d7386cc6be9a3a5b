//! Decodes a tree with serde; errors carry their key path.
//!
//! serde gets every scalar as text, and the type of the field parses it: `8000` and `"8000"` are the same port.

use std::cell::RefCell;
use std::fmt::Display;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::booleans;
use super::key_error::{KeyError, quoted};
use super::key_path::{KeyPath, Step};
use super::remark::Remark;
use super::suggestion::suggestion;
use super::tree::Tree;

/// The raw configuration in the tree. Adds remarks on values that are read in another way than their author may expect.
pub(super) fn decode<'de, T: Deserialize<'de>>(
    tree: &'de Tree,
    remarks: &mut Vec<Remark>,
) -> Result<T, KeyError> {
    let found = RefCell::default();
    let decoded = T::deserialize(Node { tree, path: KeyPath::default(), remarks: &found });
    remarks.extend(found.into_inner());
    decoded
}

/// A value of the tree.
#[derive(Clone)]
struct Node<'a, 'de> {
    tree: &'de Tree,
    path: KeyPath,
    remarks: &'a RefCell<Vec<Remark>>,
}

impl<'a, 'de> Node<'a, 'de> {
    fn child(&self, step: Step, tree: &'de Tree) -> Self {
        let mut path = self.path.clone();
        path.0.push(step);
        Self { tree, path, remarks: self.remarks }
    }

    /// What is in the place of a list, and how the list is written.
    fn not_a_list(&self) -> String {
        let found = describe(self.tree);
        match (self.path.0.last(), self.tree) {
            (Some(Step::Key(key)), _) if key.ends_with("_tags") => {
                format!("{found}; write each tag as `- {{name: NAME, value: VALUE}}`")
            }
            (_, Tree::Scalar(text)) if quoted(text).contains(text.as_str()) => {
                format!("{found}; write `[{text}]`")
            }
            (_, Tree::Null | Tree::Scalar(_) | Tree::List(_) | Tree::Section(_)) => {
                format!("{found}; begin each item with `- `")
            }
        }
    }

    fn entries(self) -> Entries<'a, 'de> {
        let left = if let Tree::Section(entries) = self.tree { entries.iter() } else { [].iter() };
        Entries { node: self, left, value: None }
    }

    fn items(self) -> Items<'a, 'de> {
        let left = if let Tree::List(items) = self.tree { items.iter() } else { [].iter() };
        Items { node: self, left: left.enumerate() }
    }
}

impl<'de> Deserializer<'de> for Node<'_, 'de> {
    type Error = KeyError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        match self.tree {
            Tree::Null => visitor.visit_unit(),
            Tree::Scalar(text) => visitor.visit_borrowed_str(text),
            Tree::List(_) => visitor.visit_seq(self.items()),
            Tree::Section(_) => visitor.visit_map(self.entries()),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        let written = match self.tree {
            Tree::Scalar(text) => booleans::read(text),
            Tree::Null | Tree::List(_) | Tree::Section(_) => None,
        };
        let (value, usual) =
            written.ok_or_else(|| KeyError::unexpected("true or false", describe(self.tree)))?;
        if !usual {
            self.remarks.borrow_mut().push(Remark::boolean(&self.path, value));
        }
        visitor.visit_bool(value)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        if matches!(self.tree, Tree::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// A key without a value is an empty section.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        match self.tree {
            Tree::Null | Tree::Section(_) => visitor.visit_map(self.entries()),
            Tree::Scalar(_) | Tree::List(_) => {
                Err(KeyError::unexpected("a section of keys", describe(self.tree)))
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, KeyError> {
        // `listen_addr:127.0.0.1:8001` is a text in YAML.
        if let Tree::Scalar(text) = self.tree
            && let Some((key, _)) = text.split_once(':').filter(|(key, _)| fields.contains(key))
        {
            let found = format!("{}; put a space behind the colon of `{key}:`", describe(self.tree));
            return Err(KeyError::unexpected("a section of keys", found));
        }
        self.deserialize_map(visitor)
    }

    /// A key without a value is an empty list.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        match self.tree {
            Tree::Null | Tree::List(_) => visitor.visit_seq(self.items()),
            Tree::Scalar(_) | Tree::Section(_) => Err(KeyError::unexpected("a list", self.not_a_list())),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, KeyError> {
        match self.tree {
            Tree::Scalar(text) => visitor.visit_borrowed_str(text),
            Tree::Null | Tree::List(_) | Tree::Section(_) => {
                Err(KeyError::unexpected("a text", describe(self.tree)))
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

struct Items<'a, 'de> {
    node: Node<'a, 'de>,
    left: std::iter::Enumerate<std::slice::Iter<'de, Tree>>,
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = KeyError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, KeyError> {
        let Some((index, item)) = self.left.next() else { return Ok(None) };
        let node = self.node.child(Step::Index(index), item);
        seed.deserialize(node.clone()).map(Some).map_err(|error| error.below(&node.path))
    }
}

struct Entries<'a, 'de> {
    node: Node<'a, 'de>,
    left: std::slice::Iter<'de, (String, Tree)>,
    /// The value of the key that serde read last.
    value: Option<Node<'a, 'de>>,
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = KeyError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, KeyError> {
        let Some((key, value)) = self.left.next() else { return Ok(None) };
        let node = self.node.child(Step::Key(key.clone()), value);
        let deserializer: StrDeserializer<'de, KeyError> = key.as_str().into_deserializer();
        let read = seed.deserialize(deserializer).map(Some).map_err(|error| error.below(&node.path));
        self.value = Some(node);
        read
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, KeyError> {
        let Some(node) = self.value.take() else {
            return Err(de::Error::custom("serde reads a value before its key"));
        };
        seed.deserialize(node.clone()).map_err(|error| error.below(&node.path))
    }
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

//! Parses YAML text to a tree that keeps the letters of every scalar.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::key_error::{KeyError, Position};
use super::key_path::{KeyPath, Step};
use super::letters;
use super::merge::MERGE;
use super::tree::Tree;

/// The tree of the text; [`Tree::Null`] if it is empty.
pub(super) fn parse(text: &str) -> Result<Tree, KeyError> {
    if is_empty(text) {
        return Ok(Tree::Null);
    }
    let path = RefCell::default();
    let shape = Shape { path: &path }.deserialize(serde_yaml::Deserializer::from_str(text));
    let mut tree = shape.map_err(|error| key_error(text, &error, path.take()))?;
    letters::restore(text, &mut tree).map_err(|error| key_error(text, &error, KeyPath::default()))?;
    Ok(tree)
}

/// Whether the text has no YAML value, which is an error for the library.
fn is_empty(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

fn key_error(yaml: &str, error: &serde_yaml::Error, path: KeyPath) -> KeyError {
    let position = error.location().map(|at| Position { line: at.line(), column: at.column() });
    let text = error.to_string();
    match text.split_once(OURS) {
        // The library adds its own path before our text and the position behind it.
        Some((_, ours)) => {
            let reason = ours.split(" at line ").next().unwrap_or(ours);
            KeyError::of_key(path, reason).at(position)
        }
        None if text.contains("more than one document") => {
            let reason = "a configuration is one YAML document; remove the `---` that begins the second";
            KeyError::of_key(KeyPath::default(), reason)
        }
        None => {
            let tab = tab_before(yaml, position);
            let reason = match tab {
                Some(_) => {
                    "a tab indents this line, which YAML does not allow; replace it by spaces".to_owned()
                }
                None => format!("this is not valid YAML: {text}"),
            };
            KeyError::of_key(KeyPath::default(), reason).at(tab.or(position))
        }
    }
}

/// The tab in the indentation of the line at `position`, or of the line before, where the library may report the error
/// (YAML 1.2, section 6.1).
fn tab_before(yaml: &str, position: Option<Position>) -> Option<Position> {
    let last = position?.line;
    let indentation = |line: &str| {
        line.chars().take_while(|letter| letter.is_whitespace()).position(|letter| letter == '\t')
    };
    let lines = yaml.lines().enumerate().skip(last.saturating_sub(2)).take(2);
    let mut tabs = lines.filter(|(_, line)| !line.trim().is_empty());
    tabs.find_map(|(index, line)| Some(Position { line: index + 1, column: indentation(line)? + 1 }))
}

/// Marks errors of this file among those of the library.
const OURS: &str = "\u{1}";

fn ours<E: Error>(text: &str) -> E {
    E::custom(format!("{OURS}{text}"))
}

/// Builds the tree. [`letters`] replaces the text of numbers and booleans.
#[derive(Clone, Copy)]
struct Shape<'a> {
    /// The path of the current value; after an error, the path of the error.
    path: &'a RefCell<KeyPath>,
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_owned()))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Tree, A::Error> {
        Err(ours("a YAML tag (`!…`) has no meaning here; remove it, or quote a value that begins with `!`"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        loop {
            self.path.borrow_mut().0.push(Step::Index(list.len()));
            let item = items.next_element_seed(self)?;
            self.path.borrow_mut().0.pop();
            match item {
                Some(item) => list.push(item),
                None => return Ok(Tree::List(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut section: Vec<(String, Tree)> = Vec::new();
        while let Some(key) = entries.next_key_seed(Key { path: self.path, section: &section })? {
            self.path.borrow_mut().0.push(Step::Key(key.clone()));
            let value = entries.next_value_seed(self)?;
            self.path.borrow_mut().0.pop();
            section.push((key, value));
        }
        Ok(Tree::Section(section))
    }
}

/// Reads a key, and refuses one that the section has already.
struct Key<'a> {
    path: &'a RefCell<KeyPath>,
    section: &'a [(String, Tree)],
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key that is text")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        if self.section.iter().any(|(known, _)| known == key) {
            self.path.borrow_mut().0.push(Step::Key(key.to_owned()));
            return Err(ours(if key == MERGE {
                "a section has one merge key; write `<<: [*a, *b]`, in which an earlier one counts more"
            } else {
                "this key is set twice; remove one of the two"
            }));
        }
        Ok(key.to_owned())
    }
}

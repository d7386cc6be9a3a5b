//! Finds the line of a key path.
//!
//! The YAML library reports a position only with an error. So a visitor follows the path through the text again and
//! fails at its end.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::key_error::Position;
use super::key_path::{KeyPath, Step};

/// The position of the value at `path`, or of its key with `on_key`. If the file has no such key: the position of the
/// closest section around it.
pub(super) fn locate(text: &str, path: &KeyPath, on_key: bool) -> Option<Position> {
    let reached = Cell::new(0);
    let found = seek(text, &path.0, on_key, &reached);
    if reached.get() == path.0.len() {
        return found;
    }
    seek(text, path.0.get(..reached.get())?, true, &reached)
}

fn seek(text: &str, path: &[Step], on_key: bool, reached: &Cell<usize>) -> Option<Position> {
    reached.set(0);
    let seek = Seek { left: path, on_key, reached };
    let arrived = seek.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    arrived.location().map(|at| Position { line: at.line(), column: at.column() })
}

/// Follows the path; always ends with an error.
#[derive(Clone, Copy)]
struct Seek<'a> {
    left: &'a [Step],
    on_key: bool,
    /// How many steps of the path exist in the text.
    reached: &'a Cell<usize>,
}

impl<'a> Seek<'a> {
    fn step(&self) -> Option<(&'a Step, Self)> {
        let (step, left) = self.left.split_first()?;
        Some((step, Self { left, ..*self }))
    }

    fn advance(&self) {
        self.reached.set(self.reached.get() + 1);
    }
}

fn arrived<E: Error>() -> E {
    E::custom("arrived")
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Visits of other values use the trait's default, which is an error at the value.
impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("another value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((Step::Index(wanted), next)) = self.step() else { return Err(arrived()) };
        for _ in 0..*wanted {
            items.next_element::<IgnoredAny>()?;
        }
        self.advance();
        items.next_element_seed(next)?;
        Err(arrived())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted), next)) = self.step() else { return Err(arrived()) };
        let stop = self.on_key && next.left.is_empty();
        while let Some(found) = entries.next_key_seed(SeekKey { wanted, stop, at: self })? {
            if found {
                self.advance();
                entries.next_value_seed(next)?;
                return Err(arrived());
            }
            entries.next_value::<IgnoredAny>()?;
        }
        Err(arrived())
    }
}

/// Whether a key is the wanted one; fails at that key with `stop`.
struct SeekKey<'a> {
    wanted: &'a str,
    stop: bool,
    at: Seek<'a>,
}

impl<'de> DeserializeSeed<'de> for SeekKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for SeekKey<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key that is text")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        let found = key == self.wanted;
        if found && self.stop {
            self.at.advance();
            return Err(arrived());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "proxy:\n  ssl: {enabled: true}\ntargets:\n  db:\n    - a\n    - b: c\n";

    fn line_and_column(path: &[Step], on_key: bool) -> (usize, usize) {
        let position = locate(TEXT, &KeyPath(path.to_vec()), on_key).unwrap();
        (position.line, position.column)
    }

    #[test]
    fn keys_values_and_items_are_found() {
        let key = |text: &str| Step::Key(text.into());
        assert_eq!(line_and_column(&[key("proxy"), key("ssl"), key("enabled")], true), (2, 9));
        assert_eq!(line_and_column(&[key("proxy"), key("ssl"), key("enabled")], false), (2, 18));
        assert_eq!(line_and_column(&[key("targets"), key("db"), Step::Index(1), key("b")], false), (6, 10));
        assert_eq!(line_and_column(&[key("targets"), key("db"), Step::Index(0)], false), (5, 7));
    }

    #[test]
    fn a_missing_key_has_the_position_of_its_section() {
        let key = |text: &str| Step::Key(text.into());
        assert_eq!(line_and_column(&[key("proxy"), key("ssl"), key("certificate")], true), (2, 3));
        assert_eq!(line_and_column(&[key("nowhere")], false), (1, 1));
    }
}

//! Merge keys (`<<`) and the sections that only other places use (`x-…`).
//!
//! The parser has already put the content of an anchor in place of each alias.

use super::key_error::KeyError;
use super::key_path::{KeyPath, Step};
use super::remark::Remark;
use super::tree::Tree;

/// The key whose sections are merged into the one around it (YAML 1.1, <https://yaml.org/type/merge.html>).
pub(super) const MERGE: &str = "<<";

/// How a top-level key begins whose value has a meaning only where an alias uses it, as in the Compose specification.
const FREE: &str = "x-";

type Entries = Vec<(String, Tree)>;

/// Drops the free sections and merges. A key of the section itself counts more than a merged one, and an earlier merged
/// section more than a later one.
pub(super) fn merge(tree: &mut Tree, remarks: &mut Vec<Remark>) -> Result<(), KeyError> {
    if let Tree::Section(entries) = tree {
        let before = entries.len();
        entries.retain(|(key, _)| !key.starts_with(FREE));
        if entries.is_empty() && before > 0 {
            *tree = Tree::Null;
        }
    }
    walk(tree, &mut KeyPath::default(), remarks)
}

fn walk(tree: &mut Tree, path: &mut KeyPath, remarks: &mut Vec<Remark>) -> Result<(), KeyError> {
    match tree {
        Tree::Null | Tree::Scalar(_) => {}
        Tree::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.0.push(Step::Index(index));
                walk(item, path, remarks)?;
                path.0.pop();
            }
        }
        Tree::Section(entries) => {
            for (key, value) in &mut *entries {
                path.0.push(Step::Key(key.clone()));
                walk(value, path, remarks)?;
                path.0.pop();
            }
            if let Some(index) = entries.iter().position(|(key, _)| key == MERGE) {
                let (_, value) = entries.remove(index);
                let sections = sections(value).ok_or_else(|| not_a_section(path))?;
                for section in sections {
                    merge_into(entries, section, index, path, remarks);
                }
            }
        }
    }
    Ok(())
}

fn sections(value: Tree) -> Option<Vec<Entries>> {
    let values = match value {
        Tree::List(values) => values,
        Tree::Null | Tree::Scalar(_) | Tree::Section(_) => vec![value],
    };
    let section = |value| match value {
        Tree::Section(entries) => Some(entries),
        Tree::Null | Tree::Scalar(_) | Tree::List(_) => None,
    };
    values.into_iter().map(section).collect()
}

fn not_a_section(path: &KeyPath) -> KeyError {
    KeyError::of_key(
        path.key(MERGE),
        "a merge key (`<<`) takes a section of keys, or a list of such sections",
    )
}

/// Adds the keys that `entries` does not have. `index` is the former place of the merge key.
fn merge_into(
    entries: &mut Entries,
    section: Entries,
    index: usize,
    path: &KeyPath,
    remarks: &mut Vec<Remark>,
) {
    for (key, value) in section {
        match entries.iter().position(|(known, _)| *known == key) {
            None => entries.push((key, value)),
            // The Go program's parser lets a merge key replace the keys that stand before it.
            Some(place) if place < index && entries.get(place).is_some_and(|(_, own)| *own != value) => {
                remarks.push(Remark::before_merge(&path.key(&key)));
            }
            Some(_) => {}
        }
    }
}

/// The path in the file of what is at `path` after the merge. `tree` is the tree before.
pub(super) fn origin(tree: &Tree, path: &KeyPath) -> KeyPath {
    let (mut origin, mut at) = (KeyPath::default(), Some(tree));
    for step in &path.0 {
        at = at.and_then(|tree| follow(tree, step, &mut origin)).or_else(|| {
            origin.0.push(step.clone());
            None
        });
    }
    origin
}

fn follow<'a>(tree: &'a Tree, step: &Step, origin: &mut KeyPath) -> Option<&'a Tree> {
    match (tree, step) {
        (Tree::List(items), Step::Index(index)) => {
            origin.0.push(step.clone());
            items.get(*index)
        }
        (Tree::Section(entries), Step::Key(wanted)) => {
            let value = |wanted: &str| entries.iter().find(|(key, _)| key == wanted).map(|(_, value)| value);
            if let Some(found) = value(wanted) {
                origin.0.push(step.clone());
                return Some(found);
            }
            let merged = value(MERGE)?;
            let before = origin.0.len();
            origin.0.push(Step::Key(MERGE.into()));
            let found = match merged {
                Tree::List(items) => items.iter().enumerate().find_map(|(index, item)| {
                    origin.0.truncate(before + 1);
                    origin.0.push(Step::Index(index));
                    follow(item, step, origin)
                }),
                Tree::Null | Tree::Scalar(_) | Tree::Section(_) => follow(merged, step, origin),
            };
            if found.is_none() {
                origin.0.truncate(before);
            }
            found
        }
        _ => None,
    }
}

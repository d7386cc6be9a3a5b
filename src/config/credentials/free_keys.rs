//! Keys that begin with `x-`: notes, and parts that only aliases use. They may stand in every section.

use crate::config::key_error::KeyError;
use crate::config::tree::Tree;
use crate::config::{Remark, merge, parse};

const FREE: &str = "x-";

/// The section whose keys are names of the user.
const NAMES: &str = "services";

/// The text as a tree, with merge keys applied and without the free keys.
pub(super) fn parse(text: &str, remarks: &mut Vec<Remark>) -> Result<Tree, KeyError> {
    let mut tree = parse::parse(text)?;
    merge::merge(&mut tree, remarks)?;
    drop_free(&mut tree);
    Ok(tree)
}

/// Drops them, except in `services`, where they are names.
fn drop_free(tree: &mut Tree) {
    walk(tree, false);
}

fn walk(tree: &mut Tree, keys_are_names: bool) {
    match tree {
        Tree::Null | Tree::Scalar(_) => {}
        Tree::List(items) => items.iter_mut().for_each(|item| walk(item, false)),
        Tree::Section(entries) => {
            entries.retain(|(key, _)| keys_are_names || !key.starts_with(FREE));
            for (key, value) in entries {
                walk(value, !keys_are_names && key == NAMES);
            }
        }
    }
}

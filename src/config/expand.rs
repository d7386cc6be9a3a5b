//! `${fromEnv:NAME}` and `${fromFile:/path}` in values.

use std::collections::BTreeMap;
use std::fs;

use super::fault::{Fault, KeyPath, Step};
use super::surroundings::Surroundings;
use super::tree::Tree;

/// Which values came from outside the file; they may be secret and are not repeated in errors.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<KeyPath, String>);

impl Origins {
    /// What the value at `path` was written as, such as `${fromEnv:NAME}`.
    pub(super) fn of(&self, path: &KeyPath) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

/// Replaces all of them, and notes in `origins` where they were.
pub(super) fn expand(tree: &mut Tree, around: &Surroundings, origins: &mut Origins) -> Result<(), Fault> {
    walk(tree, &mut KeyPath::default(), around, origins)
}

fn walk(
    tree: &mut Tree,
    path: &mut KeyPath,
    around: &Surroundings,
    origins: &mut Origins,
) -> Result<(), Fault> {
    match tree {
        Tree::Null => {}
        Tree::Scalar(text) => {
            let expanded = value(text, around).map_err(|reason| Fault::of_key(path.clone(), reason))?;
            if let Some(expanded) = expanded {
                origins.0.insert(path.clone(), std::mem::replace(text, expanded));
            }
        }
        Tree::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.0.push(Step::Index(index));
                walk(item, path, around, origins)?;
                path.0.pop();
            }
        }
        Tree::Section(entries) => {
            for (key, item) in entries {
                path.0.push(Step::Key(key.clone()));
                walk(item, path, around, origins)?;
                path.0.pop();
            }
        }
    }
    Ok(())
}

/// The text with every reference replaced; absent where it has none.
fn value(text: &str, around: &Surroundings) -> Result<Option<String>, String> {
    let mut expanded = String::new();
    let mut rest = text;
    let mut any = false;
    while let Some((before, after)) = rest.split_once("${") {
        let reference = after.split_once('}').and_then(|(inner, behind)| {
            inner.split_once(':').map(|(source, argument)| (source, argument, behind))
        });
        expanded.push_str(before);
        if let Some((source, argument, behind)) = reference {
            expanded.push_str(&look_up(source, argument, around)?);
            any = true;
            rest = behind;
        } else {
            // `${NAME}` is for paths, which are expanded where they are used.
            expanded.push_str("${");
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(any.then_some(expanded))
}

fn look_up(source: &str, argument: &str, around: &Surroundings) -> Result<String, String> {
    match source {
        "fromEnv" => around.variable(argument).ok_or_else(|| {
            format!("the environment variable {argument} of ${{fromEnv:{argument}}} is not set")
        }),
        "fromFile" => {
            let path = around.path(argument).map_err(|unset| unset.reason())?;
            let read = fs::read_to_string(&path);
            let text = read
                .map_err(|error| format!("the file of ${{fromFile:{argument}}} cannot be read: {error}"))?;
            Ok(text.trim_end_matches(['\n', '\r']).to_owned())
        }
        _ => Err(format!(
            "`${{{source}:…}}` is not known; values come from ${{fromEnv:NAME}} and ${{fromFile:/path}}"
        )),
    }
}

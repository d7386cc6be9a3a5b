//! Replaces `${fromEnv:NAME}` and `${fromFile:/path}` in values.

use std::collections::BTreeMap;

use super::environment::Environment;
use super::key_error::KeyError;
use super::key_path::{KeyPath, Step};
use super::tree::Tree;
use crate::file_access;

/// The values that came from outside the file. They may be secret, so errors do not repeat them.
#[derive(Debug, Default)]
pub(super) struct Substitutions(BTreeMap<KeyPath, String>);

impl Substitutions {
    /// The text that the value at `path` replaced, such as `${fromEnv:NAME}`.
    pub(super) fn of(&self, path: &KeyPath) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

/// Replaces all references, and records the replaced texts in `substitutions`.
pub(super) fn expand(
    tree: &mut Tree,
    environment: &Environment,
    substitutions: &mut Substitutions,
) -> Result<(), KeyError> {
    walk(tree, &mut KeyPath::default(), environment, substitutions)
}

fn walk(
    tree: &mut Tree,
    path: &mut KeyPath,
    environment: &Environment,
    substitutions: &mut Substitutions,
) -> Result<(), KeyError> {
    match tree {
        Tree::Null => {}
        Tree::Scalar(text) => {
            let expanded =
                value(text, environment).map_err(|reason| KeyError::of_key(path.clone(), reason))?;
            if let Some(expanded) = expanded {
                substitutions.0.insert(path.clone(), std::mem::replace(text, expanded));
            }
        }
        Tree::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.0.push(Step::Index(index));
                walk(item, path, environment, substitutions)?;
                path.0.pop();
            }
        }
        Tree::Section(entries) => {
            for (key, item) in entries {
                path.0.push(Step::Key(key.clone()));
                walk(item, path, environment, substitutions)?;
                path.0.pop();
            }
        }
    }
    Ok(())
}

/// The text with every reference replaced; absent if it has none.
fn value(text: &str, environment: &Environment) -> Result<Option<String>, String> {
    let mut expanded = String::new();
    let mut rest = text;
    let mut any = false;
    while let Some((before, after)) = rest.split_once("${") {
        let reference = after.split_once('}').and_then(|(inner, behind)| {
            inner.split_once(':').map(|(source, argument)| (source, argument, behind))
        });
        expanded.push_str(before);
        if let Some((source, argument, behind)) = reference {
            expanded.push_str(&look_up(source, argument, environment)?);
            any = true;
            rest = behind;
        } else {
            // `${NAME}` without a source belongs to a path; `Environment::path` expands it.
            expanded.push_str("${");
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(any.then_some(expanded))
}

fn look_up(source: &str, argument: &str, environment: &Environment) -> Result<String, String> {
    match source {
        "fromEnv" => environment.variable(argument).ok_or_else(|| {
            format!("the environment variable {argument} of ${{fromEnv:{argument}}} is not set")
        }),
        "fromFile" => {
            let path = environment.path(argument).map_err(|unset| unset.reason())?;
            let read = file_access::read_to_string(&path);
            let text = read
                .map_err(|error| format!("the file of ${{fromFile:{argument}}} cannot be read: {error}"))?;
            Ok(text.trim_end_matches(['\n', '\r']).to_owned())
        }
        _ => Err(format!("`${{{source}:…}}` is unknown; use ${{fromEnv:NAME}} or ${{fromFile:/path}}")),
    }
}

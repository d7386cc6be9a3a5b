//! Replaces `${fromEnv:NAME}` and `${fromFile:/path}` in values.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::environment::Environment;
use super::key_error::KeyError;
use super::key_path::{KeyPath, Step};
use super::tree::Tree;
use crate::file_access;

/// The values that came from outside the file. They may be secret, so errors do not repeat them.
#[derive(Debug, Default)]
pub(super) struct Substitutions {
    /// What the values replaced.
    references: BTreeMap<KeyPath, String>,
    /// The files that were read.
    files: Vec<PathBuf>,
}

/// How a file writes references: `${fromEnv:NAME}` and `${fromFile:/path}`.
pub(super) struct References {
    /// The word for environment variables.
    pub(super) from_env: String,
    /// The word for files.
    pub(super) from_file: String,
    /// What stands behind the word.
    pub(super) separator: String,
}

impl Default for References {
    fn default() -> Self {
        Self { from_env: "fromEnv".into(), from_file: "fromFile".into(), separator: ":".into() }
    }
}

impl Substitutions {
    /// Remembers that the value at `path` came from `reference`.
    pub(super) fn record(&mut self, path: KeyPath, reference: String) {
        self.references.insert(path, reference);
    }

    /// The files that were read.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    /// The text that the value at `path` replaced, such as `${fromEnv:NAME}`.
    pub(super) fn of(&self, path: &KeyPath) -> Option<&str> {
        self.references.get(path).map(String::as_str)
    }
}

/// Replaces all references, and records the replaced texts in `substitutions`.
pub(super) fn expand(
    tree: &mut Tree,
    references: &References,
    environment: &Environment,
    substitutions: &mut Substitutions,
) -> Result<(), KeyError> {
    let files = RefCell::default();
    let replace = |text: &str| references.replace(text, environment, &files);
    let walked = walk(tree, &mut KeyPath::default(), &replace, substitutions);
    substitutions.files.extend(files.take());
    walked
}

/// The text with its references replaced; absent if it has none.
type Replace<'a> = dyn Fn(&str) -> Result<Option<String>, String> + 'a;

/// The files of references.
type Files = RefCell<Vec<PathBuf>>;

fn walk(
    tree: &mut Tree,
    path: &mut KeyPath,
    replace: &Replace<'_>,
    substitutions: &mut Substitutions,
) -> Result<(), KeyError> {
    match tree {
        Tree::Null => {}
        Tree::Scalar(text) => {
            let expanded = replace(text).map_err(|reason| KeyError::of_key(path.clone(), reason))?;
            if let Some(expanded) = expanded {
                substitutions.record(path.clone(), std::mem::replace(text, expanded));
            }
        }
        Tree::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.0.push(Step::Index(index));
                walk(item, path, replace, substitutions)?;
                path.0.pop();
            }
        }
        Tree::Section(entries) => {
            for (key, item) in entries {
                path.0.push(Step::Key(key.clone()));
                walk(item, path, replace, substitutions)?;
                path.0.pop();
            }
        }
    }
    Ok(())
}

impl References {
    /// The text with every reference replaced; absent if it has none.
    fn replace(
        &self,
        text: &str,
        environment: &Environment,
        files: &Files,
    ) -> Result<Option<String>, String> {
        let mut expanded = String::new();
        let mut rest = text;
        let mut any = false;
        while let Some((before, after)) = rest.split_once("${") {
            let reference = after.split_once('}').and_then(|(inner, behind)| {
                inner.split_once(&self.separator).map(|(source, argument)| (source, argument, behind))
            });
            expanded.push_str(before);
            if let Some((source, argument, behind)) = reference {
                expanded.push_str(&self.look_up(source, argument, environment, files)?);
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

    fn look_up(
        &self,
        source: &str,
        argument: &str,
        environment: &Environment,
        files: &Files,
    ) -> Result<String, String> {
        let Self { from_env, from_file, separator } = self;
        let reference = format!("${{{source}{separator}{argument}}}");
        if source == from_env {
            let unset = || format!("the environment variable {argument} of {reference} is not set");
            return environment.variable(argument).ok_or_else(unset);
        }
        if source == from_file {
            let path = environment.path(argument).map_err(|unset| unset.reason())?;
            files.borrow_mut().push(path.clone());
            let text = file_access::read_to_string(&path)
                .map_err(|error| format!("the file of {reference} cannot be read: {error}"))?;
            return Ok(text.trim_end_matches(['\n', '\r']).to_owned());
        }
        Err(format!(
            "`${{{source}{separator}…}}` is unknown; use ${{{from_env}{separator}NAME}} or ${{{from_file}{separator}/path}}"
        ))
    }
}

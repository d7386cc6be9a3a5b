//! The configuration: found, read, checked, and turned into what it means.
//!
//! | step | file | from what to what |
//! |---|---|---|
//! | find | `find` | places to look at → a path |
//! | parse | `tree` | YAML text → a tree of keys and scalars |
//! | expand | `expand` | `${fromEnv:…}`, `${fromFile:…}` → their values |
//! | decode | `decode`, `raw`, `scalars` | the tree → [`raw::RawConfig`], one field a key |
//! | resolve | `resolve`, `upstream`, `connectors`, `cert_pair`, `timeouts` | the raw configuration → [`Config`], with every default filled in |
//!
//! An error of any step is a [`key_error::KeyError`] at a key path; `locate` finds its line.

mod cert_pair;
mod connectors;
mod decode;
mod environment;
mod error;
mod expand;
mod find;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod key_error;
mod locate;
mod raw;
mod resolve;
mod scalars;
mod settings;
mod timeouts;
mod tree;
mod upstream;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use serde::Deserialize;

pub use error::ConfigError;
pub use find::find;
pub use settings::{Config, Drain, Mode, Rds, SELF_SIGNED_HOSTS, Stop, Upstream, UpstreamTransport};

use environment::Environment;
use expand::Substitutions;
use key_error::KeyError;
use raw::RawConfig;

/// Reads the file and everything it names: certificates are loaded, so that a bad one is found at start.
///
/// Errors name file, line and key ([`ConfigError::Invalid`]), or why the file cannot be read at all.
pub fn load(path: &Path, mode: Mode) -> Result<Config, ConfigError> {
    read(path, &text(path)?, mode, &Environment::of_process())
}

/// As [`load`], for a file that is in use: none where it says nothing any more, as when all of it was commented out. At
/// the start that means every default; later it is a mistake, or a file that is about to be written.
pub fn load_again(path: &Path, mode: Mode) -> Result<Option<Config>, ConfigError> {
    let text = text(path)?;
    let config = read(path, &text, mode, &Environment::of_process())?;
    let says_nothing = tree::parse(&text).is_ok_and(|tree| tree.says_nothing());
    Ok((!says_nothing).then_some(config))
}

fn text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// As [`load`], from a text that was read already; `path` is what errors call it.
fn read(path: &Path, text: &str, mode: Mode, environment: &Environment) -> Result<Config, ConfigError> {
    let mut substitutions = Substitutions::default();
    understand(text, mode, environment, &mut substitutions).map_err(|error| {
        let error = error.hiding(&substitutions);
        let position = error.position.or_else(|| locate::locate(text, &error.path, error.on_key));
        ConfigError::invalid(path, position, &error)
    })
}

fn understand(
    text: &str,
    mode: Mode,
    environment: &Environment,
    substitutions: &mut Substitutions,
) -> Result<Config, KeyError> {
    let mut tree = tree::parse(text)?;
    expand::expand(&mut tree, environment, substitutions)?;
    let raw = RawConfig::deserialize(&tree).map_err(KeyError::after_decoding)?;
    resolve::resolve(raw, mode, environment)
}

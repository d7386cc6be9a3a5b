//! Loads a configuration file: runs all steps, from the text to the settings.

use std::path::Path;

use serde::Deserialize;

use super::environment::Environment;
use super::error::ConfigError;
use super::expand::{self, Substitutions};
use super::key_error::KeyError;
use super::raw::RawConfig;
use super::settings::{Addresses, Config, Mode};
use super::{locate, parse, resolve};
use crate::file_access;

/// The configuration of the file, with the certificates that it names: a bad certificate is an error at start.
///
/// Errors name file, line and key ([`ConfigError::Invalid`]), or why the file cannot be read. Reads files and generates
/// keys, so it belongs on a thread for blocking work once the proxy serves connections.
pub fn load(path: &Path, mode: Mode) -> Result<Config, ConfigError> {
    from_text(path, &read(path)?, mode, &Environment::of_process())
}

/// As [`load`], for a file that is in use; absent if the file has no values any more, for example if all are commented
/// out. At start such a file means every default; later it is a mistake, or a file that another process still writes.
pub fn load_again(path: &Path, mode: Mode) -> Result<Option<Config>, ConfigError> {
    let (text, environment) = (read(path)?, Environment::of_process());
    with_position(path, &text, |substitutions| {
        let (raw, has_values) = decode(&text, &environment, substitutions)?;
        let config = resolve::resolve(raw, mode, &environment)?;
        Ok(has_values.then_some(config))
    })
}

/// The addresses in the file, for commands that only connect to a proxy. Loads no certificates, and checks of other keys
/// only their types.
pub fn load_addresses(path: &Path) -> Result<Addresses, ConfigError> {
    let (text, environment) = (read(path)?, Environment::of_process());
    with_position(path, &text, |substitutions| {
        let (raw, _) = decode(&text, &environment, substitutions)?;
        Ok(resolve::addresses(raw))
    })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    file_access::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// As [`load`], with the text of the file; errors name `path`.
pub(super) fn from_text(
    path: &Path,
    text: &str,
    mode: Mode,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    with_position(path, text, |substitutions| interpret(text, mode, environment, substitutions))
}

/// Every step but the last: an error has its key path and no position.
pub(super) fn interpret(
    text: &str,
    mode: Mode,
    environment: &Environment,
    substitutions: &mut Substitutions,
) -> Result<Config, KeyError> {
    let (raw, _) = decode(text, environment, substitutions)?;
    resolve::resolve(raw, mode, environment)
}

/// The raw configuration, and whether the text has any value.
fn decode(
    text: &str,
    environment: &Environment,
    substitutions: &mut Substitutions,
) -> Result<(RawConfig, bool), KeyError> {
    let mut tree = parse::parse(text)?;
    expand::expand(&mut tree, environment, substitutions)?;
    let raw = RawConfig::deserialize(&tree).map_err(KeyError::after_decoding)?;
    Ok((raw, tree.has_values()))
}

/// Runs the steps. Adds the position in the file to their error, and hides values that came from outside the file.
fn with_position<T>(
    path: &Path,
    text: &str,
    steps: impl FnOnce(&mut Substitutions) -> Result<T, KeyError>,
) -> Result<T, ConfigError> {
    let mut substitutions = Substitutions::default();
    steps(&mut substitutions).map_err(|mut error| {
        if let Some(reference) = substitutions.of(&error.path).filter(|_| !error.on_key) {
            error = error.hide_value(reference);
        }
        let position = error.position.or_else(|| locate::locate(text, &error.path, error.on_key));
        ConfigError::invalid(path, position, &error)
    })
}

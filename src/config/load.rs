//! Loads a configuration file: every step, from the text to what it means.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::environment::Environment;
use super::error::ConfigError;
use super::expand::{self, Substitutions};
use super::key_error::KeyError;
use super::raw::RawConfig;
use super::settings::{Addresses, Config, Mode};
use super::{locate, parse, resolve};

/// Reads the file and everything it names: certificates are loaded, so that a bad one is found at start.
///
/// Errors name file, line and key ([`ConfigError::Invalid`]), or why the file cannot be read at all.
pub fn load(path: &Path, mode: Mode) -> Result<Config, ConfigError> {
    from_text(path, &read(path)?, mode, &Environment::of_process())
}

/// As [`load`], for a file that is in use: none where it says nothing any more, as when all of it was commented out. At
/// the start that means every default; later it is a mistake, or a file that is about to be written.
pub fn load_again(path: &Path, mode: Mode) -> Result<Option<Config>, ConfigError> {
    let (text, environment) = (read(path)?, Environment::of_process());
    explained(path, &text, |substitutions| {
        let (raw, has_values) = decode(&text, &environment, substitutions)?;
        let config = resolve::resolve(raw, mode, &environment)?;
        Ok(has_values.then_some(config))
    })
}

/// The addresses of the file, for a command that only talks to the proxy: certificates are not loaded and values of other
/// keys are not checked.
pub fn load_addresses(path: &Path) -> Result<Addresses, ConfigError> {
    let (text, environment) = (read(path)?, Environment::of_process());
    explained(path, &text, |substitutions| {
        let (raw, _) = decode(&text, &environment, substitutions)?;
        Ok(resolve::addresses(raw))
    })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// As [`load`], from a text that was read already; `path` is what errors call it.
pub(super) fn from_text(
    path: &Path,
    text: &str,
    mode: Mode,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    explained(path, text, |substitutions| interpret(text, mode, environment, substitutions))
}

pub(super) fn interpret(
    text: &str,
    mode: Mode,
    environment: &Environment,
    substitutions: &mut Substitutions,
) -> Result<Config, KeyError> {
    let (raw, _) = decode(text, environment, substitutions)?;
    resolve::resolve(raw, mode, environment)
}

/// The raw configuration, and whether the text holds any value.
fn decode(
    text: &str,
    environment: &Environment,
    substitutions: &mut Substitutions,
) -> Result<(RawConfig, bool), KeyError> {
    let mut tree = parse::parse(text)?;
    expand::expand(&mut tree, environment, substitutions)?;
    let raw = RawConfig::deserialize(&tree).map_err(KeyError::after_decoding)?;
    Ok((raw, !tree.says_nothing()))
}

/// Runs the steps. Their error gets its position in the file, and loses values that came from outside the file.
fn explained<T>(
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

//! Loads a configuration file: runs all steps, from the text to the settings.

use std::fs;
use std::io;
use std::path::Path;

use super::environment::Environment;
use super::error::ConfigError;
use super::expand::{self, References, Substitutions};
use super::format::other_format;
use super::key_error::KeyError;
use super::mode::Mode;
use super::raw::RawConfig;
use super::remark::Remark;
use super::settings::{Addresses, Config};
use super::{decode, locate, merge, parse, resolve, separate_section, text};
use crate::file_access;

/// The configuration of the file, with the certificates that it names: a bad certificate is an error at start.
///
/// Errors name file, line and key ([`ConfigError::Invalid`]), or why the file cannot be read. Reads files and generates
/// keys, so it belongs on a thread for blocking work once the proxy serves connections.
pub fn load(path: &Path, mode: Mode) -> Result<Config, ConfigError> {
    from_text(path, &read(path)?, mode, &Environment::of_process())
}

/// The configuration without a file: every default. Errors are those of [`load`] for an empty file.
pub fn defaults(mode: Mode) -> Result<Config, ConfigError> {
    from_text(Path::new("the defaults"), "", mode, &Environment::of_process())
}

/// As [`load`], for a file that is in use; absent if the file has no values any more, for example if all are commented
/// out. At start such a file means every default; later it is a mistake, or a file that another process still writes.
pub fn load_again(path: &Path, mode: Mode) -> Result<Option<Config>, ConfigError> {
    let (text, environment) = (read(path)?, Environment::of_process());
    with_position(path, &text, |substitutions| {
        let decoded = decode(&text, &environment, substitutions)?;
        let has_values = decoded.has_values;
        let config =
            resolve(decoded, mode, &environment, &|error| located(path, &text, substitutions, error))?;
        Ok(has_values.then_some(config))
    })
}

/// The addresses in the file, for commands that only connect to a proxy. Loads no certificates, and checks of other keys
/// only their types.
pub fn load_addresses(path: &Path) -> Result<Addresses, ConfigError> {
    let (text, environment) = (read(path)?, Environment::of_process());
    with_position(path, &text, |substitutions| {
        let decoded = decode(&text, &environment, substitutions)?;
        resolve::addresses(decoded.raw, &environment)
    })
}

/// The text of the file.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    if let Some(format) = other_format(path) {
        return Err(ConfigError::OtherFormat { path: path.to_owned(), format });
    }
    let read = file_access::read(path).and_then(text::text);
    read.map_err(|error| ConfigError::Unreadable { path: path.to_owned(), source: explained(path, error) })
}

/// The error of a file that was not found, if it is a link: its own path exists.
fn explained(path: &Path, error: io::Error) -> io::Error {
    match fs::read_link(path) {
        Ok(target) if error.kind() == io::ErrorKind::NotFound => {
            let reason = format!("it is a link to {}, which does not exist", target.display());
            io::Error::new(io::ErrorKind::NotFound, reason)
        }
        Ok(_) | Err(_) => error,
    }
}

/// As [`load`], with the text of the file; errors name `path`.
pub(super) fn from_text(
    path: &Path,
    text: &str,
    mode: Mode,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    with_position(path, text, |substitutions| interpret(path, text, mode, environment, substitutions))
}

/// Every step but the last: an error has its key path and no position.
pub(super) fn interpret(
    path: &Path,
    text: &str,
    mode: Mode,
    environment: &Environment,
    substitutions: &mut Substitutions,
) -> Result<Config, KeyError> {
    let decoded = decode(text, environment, substitutions)?;
    resolve(decoded, mode, environment, &|error| located(path, text, substitutions, error))
}

fn resolve(
    decoded: Decoded,
    mode: Mode,
    environment: &Environment,
    locate: &dyn Fn(KeyError) -> ConfigError,
) -> Result<Config, KeyError> {
    resolve::resolve(decoded.raw, mode, environment, decoded.remarks, locate)
}

struct Decoded {
    raw: RawConfig,
    /// Whether the text has any value.
    has_values: bool,
    remarks: Vec<Remark>,
}

fn decode(
    text: &str,
    environment: &Environment,
    substitutions: &mut Substitutions,
) -> Result<Decoded, KeyError> {
    let (mut tree, mut remarks) = (parse::parse(text)?, Vec::new());
    merge::merge(&mut tree, &mut remarks)?;
    let has_values = tree.has_values();
    separate_section::empty(&mut tree);
    expand::expand(&mut tree, &References::default(), environment, substitutions)?;
    let raw = decode::decode(&tree, &mut remarks)?;
    Ok(Decoded { raw, has_values, remarks })
}

/// Runs the steps. Adds the position in the file to their error, and hides values that came from outside the file.
pub(super) fn with_position<T>(
    path: &Path,
    text: &str,
    steps: impl FnOnce(&mut Substitutions) -> Result<T, KeyError>,
) -> Result<T, ConfigError> {
    let mut substitutions = Substitutions::default();
    steps(&mut substitutions).map_err(|error| located(path, text, &substitutions, error))
}

fn located(path: &Path, text: &str, substitutions: &Substitutions, mut error: KeyError) -> ConfigError {
    if let Some(reference) = substitutions.of(&error.path).filter(|_| !error.on_key) {
        error = error.hide_value(reference);
    }
    let position = error.position.or_else(|| {
        let origin = parse::parse(text).map(|tree| merge::origin(&tree, &error.path));
        locate::locate(text, origin.as_ref().unwrap_or(&error.path), error.on_key)
    });
    ConfigError::invalid(path, position, &error)
}

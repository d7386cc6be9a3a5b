//! The configuration: found, read, checked, and turned into what it means.
//!
//! | step | file | from what to what |
//! |---|---|---|
//! | find | `find` | places to look at → a path |
//! | parse | `tree` | YAML text → a tree of keys and scalars |
//! | expand | `expand` | `${fromEnv:…}`, `${fromFile:…}` → their values |
//! | decode | `decode`, `written`, `scalars` | the tree → [`written::Written`], one field a key |
//! | resolve | `resolve`, `upstream`, `tls`, `pair`, `times` | what was written → [`Config`], with every default filled in |
//!
//! A fault of any step is a [`fault::Fault`] at a key path; `locate` finds its line.

mod decode;
mod error;
mod expand;
mod fault;
mod find;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod locate;
mod pair;
mod resolve;
mod scalars;
mod settings;
mod surroundings;
mod times;
mod tls;
mod tree;
mod upstream;
mod written;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use serde::Deserialize;

pub use error::ConfigError;
pub use find::find;
pub use settings::{Config, Drain, Mode, Rds, SELF_SIGNED_HOSTS, Stop, Upstream, UpstreamRoute};

use expand::Origins;
use fault::Fault;
use surroundings::Surroundings;
use written::Written;

/// Reads the file and everything it names: certificates are loaded, so that a bad one is found at start.
///
/// Errors name file, line and key ([`ConfigError::Invalid`]), or why the file cannot be read at all.
pub fn load(path: &Path, mode: Mode) -> Result<Config, ConfigError> {
    read(path, &text(path)?, mode, &Surroundings::of_process())
}

/// As [`load`], for a file that is in use: none where it says nothing any more, as when all of it was commented out. At
/// the start that means every default; later it is a mistake, or a file that is about to be written.
pub fn load_again(path: &Path, mode: Mode) -> Result<Option<Config>, ConfigError> {
    let text = text(path)?;
    let config = read(path, &text, mode, &Surroundings::of_process())?;
    let says_nothing = tree::parse(&text).is_ok_and(|tree| tree.says_nothing());
    Ok((!says_nothing).then_some(config))
}

fn text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// As [`load`], from a text that was read already; `path` is what errors call it.
fn read(path: &Path, text: &str, mode: Mode, around: &Surroundings) -> Result<Config, ConfigError> {
    let mut origins = Origins::default();
    understand(text, mode, around, &mut origins).map_err(|fault| {
        let fault = fault.hiding(&origins);
        let place = fault.place.or_else(|| locate::locate(text, &fault.path, fault.on_key));
        ConfigError::invalid(path, place, &fault)
    })
}

fn understand(text: &str, mode: Mode, around: &Surroundings, origins: &mut Origins) -> Result<Config, Fault> {
    let mut tree = tree::parse(text)?;
    expand::expand(&mut tree, around, origins)?;
    let written = Written::deserialize(&tree).map_err(Fault::after_decoding)?;
    resolve::resolve(written, mode, around)
}

//! The loader without a file, for `tests/fuzz`. Only in builds of cargo-fuzz.

use std::path::Path;

use super::environment::Environment;
use super::{Config, ConfigError, Mode};

/// The environment of every run: inputs must not depend on the machine.
const VARIABLES: &[(&str, &str)] =
    &[("HOME", "/nonexistent"), ("HOST", "db.example.com"), ("PORT", "6543"), ("SENSITIVE", "hunter2")];

/// As [`super::load`], with the text of the file.
pub fn read(text: &str, mode: Mode) -> Result<Config, ConfigError> {
    super::load::from_text(Path::new("config.yaml"), text, mode, &Environment::of(VARIABLES))
}

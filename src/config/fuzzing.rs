//! The way for `tests/fuzz` into the loader, without a file. Only in builds of cargo-fuzz.

use std::path::Path;

use super::environment::Environment;
use super::{Config, ConfigError, Mode};

/// The environment, which must not depend on where the fuzzer runs.
const VARIABLES: &[(&str, &str)] =
    &[("HOME", "/nonexistent"), ("HOST", "db.example.com"), ("PORT", "6543"), ("SENSITIVE", "hunter2")];

/// Everything that [`super::load`] does with the text of a file.
pub fn read(text: &str, mode: Mode) -> Result<Config, ConfigError> {
    super::load::from_text(Path::new("config.yaml"), text, mode, &Environment::of(VARIABLES))
}

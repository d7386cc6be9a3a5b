//! `man`: manual pages, for the release archives.

use std::fs;

use super::args::{ManArguments, command};
use crate::process::CommandError;

/// Writes a page for the program and one for each command into the directory.
pub(super) fn run(arguments: &ManArguments) -> Result<(), CommandError> {
    let directory = &arguments.directory;
    fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command(), directory)).map_err(
        |error| CommandError::Runtime(format!("no pages can be written to {}: {error}", directory.display())),
    )
}

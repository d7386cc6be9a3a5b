//! `completion`: completion scripts for shells.

use super::args::{CompletionArguments, command};
use super::output;
use crate::process::CommandError;

/// Prints the script for the shell.
pub(super) fn run(arguments: &CompletionArguments) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "rds-auth-proxy", &mut script);
    output::print(script)
}

//! `credentials --check`: reads the configuration and the files that it names.

use super::services::read;
use crate::cli::args::CredentialsArguments;
use crate::cli::output;
use crate::process::CommandError;

/// Prints a line on a configuration that can be used.
pub(super) fn run(arguments: &CredentialsArguments) -> Result<(), CommandError> {
    let source = arguments.source();
    let count = read(&source)?.len();
    let services = if count == 1 { "service" } else { "services" };
    output::print(format!("{} is valid: {count} {services}\n", source.path.display()))
}

//! `credentials --check`: reads the configuration and the files that it names.

use crate::cli::args::CredentialsArguments;
use crate::cli::output;
use crate::config::Remark;
use crate::config::credentials;
use crate::process::CommandError;

/// Prints a line on a configuration that can be used. Its warnings go to standard error, as its error does.
pub(super) fn run(arguments: &CredentialsArguments) -> Result<(), CommandError> {
    let source = arguments.source();
    let config = credentials::load(&source.path, &source.names, source.flags).map_err(CommandError::usage)?;
    let (mut remarks, mut count) = (config.remarks, config.services.len());
    if let Some(dynamic) = config.dynamic {
        let listing = dynamic.list();
        for (directory, error) in listing.unreadable {
            output::remark(&format!("warning: {} cannot be read: {error}", directory.display()));
        }
        for path in listing.files {
            let file = dynamic.read(&path, &source.names).map_err(CommandError::usage)?;
            remarks.extend(file.remarks);
            count += file.services.len();
        }
    }
    for Remark { key, text } in remarks {
        output::remark(&format!("warning: {key}: {text}"));
    }
    let services = if count == 1 { "service" } else { "services" };
    output::print(format!("{} is valid: {count} {services}\n", source.path.display()))
}

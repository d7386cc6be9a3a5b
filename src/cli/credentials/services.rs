//! Reads the services for the commands that do not serve.

use crate::app::credentials::{Source, survey};
use crate::cli::output;
use crate::process::CommandError;
use crate::services::Service;

/// The services that would be served. Warnings go to standard error.
pub(super) fn read(source: &Source) -> Result<Vec<Service>, CommandError> {
    let survey = survey(source).map_err(CommandError::usage)?;
    for warning in survey.warnings {
        output::remark(&format!("warning: {warning}"));
    }
    Ok(survey.services)
}

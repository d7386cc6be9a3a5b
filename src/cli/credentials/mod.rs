//! `credentials`: what it does instead of serving.

mod check;
mod new_token;
mod policy;

use super::args::{CredentialsAction, CredentialsArguments};
use super::output;
use crate::app::credentials::{Source, survey};
use crate::process::CommandError;
use crate::services::Service;

pub(super) fn run(arguments: &CredentialsArguments) -> Result<(), CommandError> {
    match &arguments.action {
        Some(CredentialsAction::NewToken) => new_token::run(),
        Some(CredentialsAction::Policy(chosen)) => policy::run(arguments, chosen),
        None => check::run(arguments),
    }
}

/// The services that would be served. Warnings go to standard error.
fn read(source: &Source) -> Result<Vec<Service>, CommandError> {
    let survey = survey(source).map_err(CommandError::usage)?;
    for warning in survey.warnings {
        output::remark(&format!("warning: {warning}"));
    }
    Ok(survey.services)
}

//! `credentials`: what it does instead of serving.

mod check;
mod new_token;
mod policy;
mod services;

use super::args::{CredentialsAction, CredentialsArguments};
use super::healthcheck;
use crate::process::CommandError;

pub(super) fn run(arguments: &CredentialsArguments) -> Result<(), CommandError> {
    match &arguments.action {
        Some(CredentialsAction::NewToken) => new_token::run(),
        Some(CredentialsAction::Policy(chosen)) => policy::run(arguments, chosen),
        Some(CredentialsAction::Healthcheck) => healthcheck::of_credentials(&arguments.source()),
        None => check::run(arguments),
    }
}

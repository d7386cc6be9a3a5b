//! `credentials`: what it does instead of serving.

mod check;
mod new_token;

use super::args::{CredentialsAction, CredentialsArguments};
use crate::process::CommandError;

pub(super) fn run(arguments: &CredentialsArguments) -> Result<(), CommandError> {
    match &arguments.action {
        Some(CredentialsAction::NewToken) => new_token::run(),
        None => check::run(arguments),
    }
}

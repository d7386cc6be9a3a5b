//! `credentials new-token`: prints a random token.

use std::io::{self, IsTerminal};

use zeroize::Zeroizing;

use crate::cli::output;
use crate::config::credentials::new_token;
use crate::process::CommandError;

pub(super) fn run() -> Result<(), CommandError> {
    let token = new_token().map_err(CommandError::runtime)?;
    // A file for AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE must not have a line end: SDKs refuse it in a header.
    let end: &[u8] = if io::stdout().is_terminal() { b"\n" } else { b"" };
    output::print(Zeroizing::new([token.as_bytes(), end].concat()))
}

//! `credentials new-token`: prints a random token.

use zeroize::Zeroizing;

use crate::cli::output;
use crate::config::credentials::new_token;
use crate::process::CommandError;

pub(super) fn run() -> Result<(), CommandError> {
    let token = new_token().map_err(CommandError::runtime)?;
    output::print(Zeroizing::new([token.as_bytes(), b"\n"].concat()))
}

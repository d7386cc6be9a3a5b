//! `completion`: completion scripts for shells.

use clap_complete::Shell;

use super::args::{CompletionArguments, command};
use super::output;
use crate::process::CommandError;

/// Between the scripts for bash and zsh: bash reads no further, because the second one is full of syntax errors for it.
const END_OF_BASH: &[u8] = b"\n# The rest is for zsh.\n[ -n \"${BASH_VERSION-}\" ] && return 0 2>/dev/null\n";

/// Prints the script for the shell. Without a shell, the scripts for bash and zsh, as the Go program does.
pub(super) fn run(arguments: &CompletionArguments) -> Result<(), CommandError> {
    output::print(match arguments.shell {
        Some(shell) => script(shell),
        None => [&script(Shell::Bash)[..], END_OF_BASH, &script(Shell::Zsh)].concat(),
    })
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "rds-auth-proxy", &mut script);
    script
}

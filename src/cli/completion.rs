//! `completion`: completion scripts for shells. Each asks this program for the words that fit, through [`answer`].

mod bash;

use std::env;
use std::ffi::OsString;

use clap_complete::Shell;
use clap_complete::env::{CompleteEnv, Elvish, Fish, Powershell, Shells, Zsh};

use super::args::{CompletionArguments, command};
use super::output;
use crate::process::CommandError;
use bash::Bash;

const PROGRAM: &str = "rds-auth-proxy";

/// A script sets this variable to the name of its shell.
const REQUEST: &str = "_RDS_AUTH_PROXY_COMPLETE";

const SHELLS: Shells<'static> = Shells(&[&Bash, &Elvish, &Fish, &Powershell, &Zsh]);

/// Between the scripts for bash and zsh: bash reads no further, because the second one is full of syntax errors for it.
const END_OF_BASH: &str = "\n# The rest is for zsh.\n[ -n \"${BASH_VERSION-}\" ] && return 0 2>/dev/null\n";

/// Prints the script for the shell. Without a shell, the scripts for bash and zsh, as the Go program does.
pub(super) fn run(arguments: &CompletionArguments) -> Result<(), CommandError> {
    output::print(match arguments.shell {
        Some(shell) => script(shell)?,
        None => [&script(Shell::Bash)?, END_OF_BASH, &script(Shell::Zsh)?].concat(),
    })
}

/// Prints the words that complete a command line, if a script requests them; else returns false. The script has the command line
/// behind `--`. Whatever fails, nothing is printed: a person is typing.
pub(super) fn answer(arguments: &[OsString]) -> bool {
    if env::var_os(REQUEST).is_none() {
        return false;
    }
    let directory = env::current_dir().ok();
    let completion = CompleteEnv::with_factory(command).var(REQUEST).shells(SHELLS);
    let _answered = completion.try_complete(arguments, directory.as_deref());
    true
}

/// The program is called by its name: the script may have been made on another machine.
fn script(shell: Shell) -> Result<String, CommandError> {
    let name = shell.to_string();
    let completer = SHELLS.completer(&name).ok_or_else(|| CommandError::usage("this shell has no script"))?;
    let mut script = Vec::new();
    completer
        .write_registration(REQUEST, PROGRAM, PROGRAM, PROGRAM, &mut script)
        .map_err(CommandError::runtime)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

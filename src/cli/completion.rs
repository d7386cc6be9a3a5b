//! `completion`: completion scripts for shells.

use clap::ValueEnum;
use clap_complete::Shell;

use super::args::{CompletionArguments, command};
use super::output;
use crate::process::CommandError;

const PROGRAM: &str = "rds-auth-proxy";

/// Between the scripts for bash and zsh: bash reads no further, because the second one is full of syntax errors for it.
const END_OF_BASH: &str = "\n# The rest is for zsh.\n[ -n \"${BASH_VERSION-}\" ] && return 0 2>/dev/null\n";

/// Prints the script for the shell. Without a shell, the scripts for bash and zsh, as the Go program does.
pub(super) fn run(arguments: &CompletionArguments) -> Result<(), CommandError> {
    output::print(match arguments.shell {
        Some(shell) => script(shell),
        None => [&script(Shell::Bash), END_OF_BASH, &script(Shell::Zsh)].concat(),
    })
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => with_one_label(&script),
        Shell::Fish => with_shells(&script),
        _ => script,
    }
}

/// The generator (`clap_complete` 4.6) writes a hyphen of the program's name as `__` where it sets the label of a command,
/// and as `__subcmd__` where it compares it, so that no command is ever found.
fn with_one_label(script: &str) -> String {
    script.replace(&PROGRAM.replace('-', "__subcmd__"), &PROGRAM.replace('-', "__"))
}

/// The generator leaves out the values of arguments without a flag, of which `completion` has the only ones. It also takes
/// the word `help` itself for a command that stands behind it.
fn with_shells(script: &str) -> String {
    let shells = Shell::value_variants().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let values = "complete -c rds-auth-proxy -n \"__fish_rds_auth_proxy_using_subcommand completion\" -f -a";
    let is_about_help =
        |line: &str| line.contains("_using_subcommand help; and not __fish_seen_subcommand_from");
    let lines = script.lines().map(|line| {
        if is_about_help(line) { line.replacen(" help\" -f", "\" -f", 1) } else { line.to_owned() }
    });
    lines.chain([format!("{values} \"{shells}\"\n")]).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The generator (`clap_complete` 4.6) writes the help of a value between double quotes for fish, and does not escape it.
    #[test]
    fn the_help_of_values_has_no_character_that_ends_or_expands_a_text_in_a_shell() {
        let command = command();
        let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
        let helps: Vec<_> = arguments
            .flat_map(clap::Arg::get_possible_values)
            .filter_map(|value| value.get_help().map(ToString::to_string))
            .collect();
        assert!(helps.len() > 8, "{helps:?}");
        for help in helps {
            assert!(!help.contains(['"', '\'', '$', '`', '\\']), "{help}");
        }
    }
}

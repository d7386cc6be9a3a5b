//! The command line: arguments, prompts and output, with one file for each command.
//!
//! | file | what it does |
//! |---|---|
//! | `args`, `read` | flags, variables and help texts; reads the command line |
//! | `client`, `choose_targets` | chooses targets and upstream proxy; `server` needs nothing beyond its configuration |
//! | `gen_cert`, `completion`, `healthcheck`, `man`, `version` | the other commands |
//! | `candidates` | the names that complete the values of flags |
//! | `credentials` | checks a configuration of `credentials`, makes a token, prints an IAM policy |
//! | `sessions` | lists the open sessions of a running proxy, and ends one |
//! | `targets`, `export` | lists the targets; prints settings for tools |
//! | `token` | prints an IAM token |
//! | `doctor`, `init` | checks each step to a database; writes a first configuration |
//! | `choose`, `pick` | chooses by name or with a prompt; finds a target by its name alone |
//! | `listen` | reads the address of `--listen` and `--port` |
//! | `menu`, `select` | the list of the prompt, and the terminal under it |
//! | `password_file` | reads the password of `--password` or `--password-file` |
//! | `columns` | tables |
//! | `banner`, `output` | everything that is printed |

mod args;
mod banner;
mod candidates;
mod choose;
mod choose_targets;
mod client;
mod columns;
mod completion;
mod credentials;
mod doctor;
mod export;
mod gen_cert;
mod healthcheck;
mod init;
mod listen;
mod man;
mod menu;
mod output;
mod password_file;
mod pick;
mod read;
mod select;
mod server;
mod sessions;
mod targets;
mod token;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use args::Command;

use crate::app;
use crate::process::CommandError;
use crate::process::logging::Format;

/// Runs the command that the arguments name, the first of which is the program's own name, and reports an error on
/// standard error. Exit codes: 0, 1 for a failure while running, 2 for arguments or a configuration that have to change,
/// 130 for a prompt that the user left.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::report(&error);
            error.code()
        }
    }
}

fn execute(arguments: impl IntoIterator<Item = OsString>) -> Result<(), CommandError> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    if completion::answer(&arguments) {
        return Ok(());
    }
    let command = read::read(arguments.clone()).map_err(CommandError::Arguments)?;
    #[cfg(unix)]
    if let Command::Client(client) = &command
        && let Some(password) = client.password.as_ref().filter(|password| password_file::can_hold(password))
    {
        // The password was visible since the start, so a failure is no reason to stop.
        let _still_visible = crate::process::reexec::without_visible_password(password, &arguments);
    }
    match command {
        Command::Client(arguments) => {
            // A command that did not run has not succeeded.
            let early = if arguments.command.is_empty() { Ok(()) } else { Err(CommandError::Interrupted) };
            app::run(Format::Human, early, |log| client::prepare(arguments, log))
        }
        Command::Server(arguments) => {
            let source = server::source(arguments)?;
            app::run(Format::of_server(), Ok(()), |log| app::server::prepare(source, log))
        }
        Command::Credentials(arguments) if arguments.serves() => {
            app::run(Format::of_server(), Ok(()), |log| app::credentials::prepare(arguments.source(), log))
        }
        Command::Credentials(arguments) => credentials::run(&arguments),
        Command::GenCert(arguments) => gen_cert::run(&arguments),
        Command::Completion(arguments) => completion::run(&arguments),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments),
        Command::Sessions(arguments) => sessions::run(&arguments),
        Command::Targets(arguments) => targets::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Init(arguments) => init::run(arguments),
        Command::Man(arguments) => man::run(&arguments),
        Command::Version(arguments) => version::run(&arguments),
    }
}

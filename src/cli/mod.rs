//! The command line: arguments, prompts, output, logging set-up; the only place where everything is put together.

mod args;
mod banner;
mod choose;
mod client;
mod completion;
mod failure;
mod gen_cert;
mod harden;
mod healthcheck;
#[cfg(unix)]
mod hide;
mod logging;
mod man;
mod observe;
mod output;
mod password;
mod reload;
mod restart;
mod runtime;
mod server;
mod signals;
mod start;
mod stop;
mod tunnel;
mod version;
mod visible;

use std::ffi::OsString;
use std::process::ExitCode;

use args::{Arguments, Command};
use failure::Failure;
use logging::{Format, Level};
use start::Prepared;

use crate::session::Role;

/// Runs the command that the arguments name, the program's own name being the first of them, and reports what goes
/// wrong on standard error. Exit codes: 0, 1 for a failure while running, 2 for arguments or a configuration that
/// have to be changed, 130 for a prompt that was left.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::report(&failure);
            failure.code()
        }
    }
}

fn execute(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let command = Arguments::read(arguments.clone()).map_err(Failure::Arguments)?.command;
    #[cfg(unix)]
    if let Command::Client(client) = &command
        && let Some(password) = &client.password
    {
        // It was to be seen since the start, so what cannot be hidden is no reason not to go on.
        let _not_hidden = hide::hide(password, &arguments);
    }
    match command {
        Command::Client(arguments) => run_mode(Format::Human, |log| client::prepare(arguments, log)),
        Command::Server(arguments) => run_mode(Format::Json, |log| server::prepare(arguments, log)),
        Command::GenCert(arguments) => gen_cert::run(&arguments),
        Command::Completion(arguments) => completion::run(&arguments),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
        Command::Version(arguments) => version::run(&arguments),
    }
}

/// Runs a mode to its end, with logs of this format.
fn run_mode<R: Role, P>(format: Format, prepare: impl FnOnce(Level) -> P) -> Result<(), Failure>
where
    P: Future<Output = Result<Prepared<R>, Failure>>,
{
    let level = logging::start(format)?;
    harden::harden();
    runtime::run(start::run(prepare(level)))
}

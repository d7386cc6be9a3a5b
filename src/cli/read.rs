//! Reads the command line and the environment, with the habits of the Go program (spf13/cobra and spf13/pflag).
//!
//! The flag overrides its variable. An empty value of a flag or variable counts as not given.

use std::env;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, FromArgMatches};

use super::args::{self, Arguments, ClientArguments, Command};
use crate::catalog::NamePattern;

/// The command of these arguments, the first of which is the program's own name. clap returns help and version as errors,
/// too. No command at all is a request for help.
pub(super) fn read(mut arguments: Vec<OsString>) -> Result<Command, clap::Error> {
    if arguments.len() < 2 {
        arguments.push("--help".into());
    }
    let mut definition = without_empty_variables(args::command());
    let arguments = command_first(&definition, arguments);
    let matches = definition.try_get_matches_from_mut(arguments)?;
    let parsed = Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))?;
    let mut command = parsed.command;
    drop_empty_values(&mut command);
    if let (Command::Client(client), Some((_, typed))) = (&mut command, matches.subcommand()) {
        choose_password(client, typed).map_err(|error| in_client(error, &mut definition))?;
        choose_targets(client, typed);
        check_user(client, typed).map_err(|error| in_client(error, &mut definition))?;
    }
    Ok(command)
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    command.mut_args(not_from_empty_variable).mut_subcommands(without_empty_variables)
}

fn not_from_empty_variable(argument: clap::Arg) -> clap::Arg {
    let value = argument.get_env().and_then(env::var_os);
    if value.is_some_and(|value| value.is_empty()) { argument.env(Resettable::Reset) } else { argument }
}

/// Moves the name of the command before its flags: cobra accepts `--configfile PATH server`, clap does not.
fn command_first(definition: &clap::Command, mut arguments: Vec<OsString>) -> Vec<OsString> {
    if let Some(index) = command_behind_flags(definition, &arguments) {
        let name = arguments.remove(index);
        arguments.insert(1, name);
    }
    arguments
}

/// The index of the command's name behind one or more flags of commands.
fn command_behind_flags(definition: &clap::Command, arguments: &[OsString]) -> Option<usize> {
    let mut index = 1;
    loop {
        let text = arguments.get(index)?.to_str()?;
        if !text.starts_with('-') {
            return (index > 1 && definition.find_subcommand(text).is_some()).then_some(index);
        }
        index += words_of_flag(definition, text)?;
    }
}

/// How many words the flag has together with its value; absent if no command has such a flag.
fn words_of_flag(definition: &clap::Command, text: &str) -> Option<usize> {
    let text = text.strip_prefix("--")?;
    let name = text.split('=').next()?;
    let mut flags = definition.get_subcommands().flat_map(clap::Command::get_arguments);
    let flag = flags.find(|flag| flag.get_long() == Some(name))?;
    let value_follows = flag.get_action().takes_values() && name == text;
    Some(if value_follows { 2 } else { 1 })
}

/// In the Go program a flag with the empty text is a flag that is not set.
fn drop_empty_values(command: &mut Command) {
    match command {
        Command::Client(client) => {
            client.source.drop_empty_values();
            client.target.retain(|name| !name.is_empty());
            client.proxy_target.take_if(|name| name.is_empty());
            client.listen.take_if(|address| address.is_empty());
            client.port.take_if(|port| port.is_empty());
            client.user.take_if(|name| name.is_empty());
            client.password.take_if(|password| password.is_empty());
            client.password_file.take_if(|path| path.as_os_str().is_empty());
        }
        Command::Server(server) => server.drop_empty_values(),
        Command::Credentials(credentials) => {
            credentials.config.take_if(|path| path.as_os_str().is_empty());
        }
        Command::Healthcheck(healthcheck) => {
            healthcheck.configfile.take_if(|path| path.as_os_str().is_empty());
        }
        Command::Sessions(sessions) => {
            sessions.configfile.take_if(|path| path.as_os_str().is_empty());
            sessions.socket.take_if(|path| path.as_os_str().is_empty());
            sessions.target.take_if(|name| name.is_empty());
            sessions.user.take_if(|name| name.is_empty());
        }
        Command::Targets(targets) => {
            targets.source.drop_empty_values();
        }
        Command::Export(export) => {
            export.source.drop_empty_values();
            export.user.take_if(|name| name.is_empty());
            export.target.retain(|pattern| *pattern != NamePattern::of(""));
        }
        Command::Token(token) => {
            token.source.drop_empty_values();
        }
        Command::Doctor(doctor) => doctor.drop_empty_values(),
        Command::Init(init) => {
            init.profile.take_if(|name| name.is_empty());
            init.root_certificate.take_if(|path| path.as_os_str().is_empty());
        }
        Command::GenCert(_) | Command::Completion(_) | Command::Man(_) | Command::Version(_) => {}
    }
}

/// The error with the usage of `client`.
fn in_client(error: clap::Error, definition: &mut clap::Command) -> clap::Error {
    match definition.find_subcommand_mut("client") {
        Some(client) => error.format(client),
        None => error.format(definition),
    }
}

/// A typed `--target` overrides the variable of `--all`.
fn choose_targets(client: &mut ClientArguments, matches: &ArgMatches) {
    let typed = |flag: &str| matches.value_source(flag) == Some(ValueSource::CommandLine);
    if typed("target") && !typed("all") && !client.target.is_empty() {
        client.all = false;
    }
}

/// A typed `--user` is about a command. The variable may be there for `sessions`.
fn check_user(client: &ClientArguments, matches: &ArgMatches) -> Result<(), clap::Error> {
    let typed = matches.value_source("user") == Some(ValueSource::CommandLine);
    if typed && client.user.is_some() && client.command.is_empty() {
        let text = "the argument '--user <NAME>' needs a command: -- <COMMAND>...";
        return Err(clap::Error::raw(ErrorKind::MissingRequiredArgument, text));
    }
    Ok(())
}

/// The two passwords exclude each other, except that a typed flag overrides the variable of the other flag as well.
fn choose_password(client: &mut ClientArguments, matches: &ArgMatches) -> Result<(), clap::Error> {
    if client.password.is_none() || client.password_file.is_none() {
        return Ok(());
    }
    let typed = |flag: &str| matches.value_source(flag) == Some(ValueSource::CommandLine);
    match (typed("password"), typed("password_file")) {
        (true, false) => client.password_file = None,
        (false, true) => client.password = None,
        (true, true) | (false, false) => {
            let text = "the argument '--password <VALUE>' cannot be used with '--password-file <PATH>'";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::process::CommandError;

    fn read(line: &str) -> Result<Command, clap::Error> {
        super::read(line.split(' ').map(OsString::from).collect())
    }

    fn refusal(line: &str) -> String {
        read(line).err().expect("must be refused").to_string()
    }

    #[test]
    fn the_definition_is_consistent() {
        args::command().debug_assert();
    }

    #[test]
    fn the_flags_of_client_are_read() {
        let line =
            "rds-auth-proxy client --configfile c.yaml --target db --proxy-target far --password pw --direct";
        let Ok(Command::Client(client)) = read(line) else { panic!("not the client") };
        assert_eq!(client.source.configfile.unwrap(), PathBuf::from("c.yaml"));
        assert_eq!(client.target, ["db"]);
        assert_eq!(client.proxy_target.unwrap(), "far");
        assert_eq!(client.password.unwrap().expose(), b"pw");
        assert!(client.direct);
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let Ok(Command::Client(client)) = read("rds-auth-proxy client") else { panic!("not the client") };
        assert!(client.source.configfile.is_none() && client.target.is_empty() && !client.direct);
        assert!(client.proxy_target.is_none());
        assert!(client.password.is_none() && client.password_file.is_none());
        let Ok(Command::GenCert(made)) = read("rds-auth-proxy gen-cert --certificate c --key k") else {
            panic!("not gen-cert")
        };
        assert_eq!(made.hosts, ["rds-auth-proxy"]);
    }

    #[test]
    fn hosts_are_split_at_commas() {
        let Ok(Command::GenCert(made)) =
            read("rds-auth-proxy gen-cert --certificate c --key k --hosts a,b,::1")
        else {
            panic!("not gen-cert")
        };
        assert_eq!(made.hosts, ["a", "b", "::1"]);
    }

    #[test]
    fn two_passwords_are_refused_without_showing_them() {
        let text = refusal("rds-auth-proxy client --password hunter2 --password-file p");
        assert!(text.contains("--password-file") && text.contains("cannot be used with"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn no_usage_error_shows_the_password() {
        for line in [
            "rds-auth-proxy client --password hunter2 --password-file p",
            "rds-auth-proxy client --password -hunter2 --password-file p",
            "rds-auth-proxy client --password=-hunter2 --nonsense",
            "rds-auth-proxy --password hunter2 client --password-file p",
            "rds-auth-proxy client --password hunter2 --direct=perhaps",
            "rds-auth-proxy client --password=hunter2 --nonsense",
        ] {
            let error = read(line).err().expect("must be refused");
            let text = format!("{error} {error:?}");
            let shown = [text, format!("{:?}", CommandError::Arguments(error))].concat();
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    /// spf13/cobra: `Command.Find` and `stripFlags`.
    #[test]
    fn flags_may_come_before_the_command() {
        for line in [
            "p --configfile c.yaml client --target db",
            "p --target db --configfile=c.yaml client",
            "p --direct --target=db client --configfile c.yaml",
        ] {
            let Ok(Command::Client(client)) = read(line) else { panic!("{line}") };
            assert_eq!(
                (client.source.configfile.unwrap(), client.target),
                ("c.yaml".into(), vec!["db".into()])
            );
        }
        assert!(matches!(read("p --configfile client server"), Ok(Command::Server(server))
            if server.configfile == Some("client".into())));
        assert!(refusal("p --nonsense client").contains("'--nonsense'"));
        assert!(refusal("p --target db").contains("'--target'"));
    }

    /// spf13/pflag: the next word is the value, whatever it is, and the last value counts.
    #[test]
    fn values_are_read_as_pflag_reads_them() {
        let Ok(Command::Client(client)) = read(
            "p client --proxy-target a --password -x --proxy-target b --direct --direct --target a --target b",
        ) else {
            panic!("not the client")
        };
        assert_eq!(client.proxy_target.unwrap(), "b");
        assert_eq!(client.target, ["a", "b"], "the exception");
        assert_eq!(client.password.unwrap().expose(), b"-x");
    }

    #[test]
    fn an_empty_value_counts_as_not_given() {
        let words = [
            "p",
            "client",
            "--password",
            "",
            "--target=",
            "--proxy-target",
            "",
            "--configfile",
            "",
            "--listen=",
            "--port",
            "",
        ];
        for more in [&[][..], &["--password-file", "f"], &["--password-file", ""]] {
            let words = words.iter().chain(more).map(OsString::from);
            let Ok(Command::Client(client)) = super::read(words.collect()) else { panic!("not the client") };
            assert!(client.password.is_none() && client.target.is_empty() && client.proxy_target.is_none());
            assert!(client.source.configfile.is_none() && client.listen.is_none() && client.port.is_none());
            assert_eq!(client.password_file.is_some(), more.ends_with(&["f"]));
        }
        for command in ["server", "healthcheck"] {
            let words = ["p", command, "--configfile", ""].map(OsString::from);
            assert!(matches!(
                super::read(words.into()),
                Ok(Command::Server(args::ServerArguments { configfile: None, target_host: None, .. })
                    | Command::Healthcheck(args::HealthcheckArguments { configfile: None }))
            ));
        }
    }

    #[test]
    fn a_misspelt_word_gets_a_suggestion() {
        assert!(refusal("rds-auth-proxy clinet").contains("'client'"));
        assert!(refusal("rds-auth-proxy client --traget x").contains("'--target'"));
    }

    #[test]
    fn each_flag_has_a_variable_of_its_name() {
        // Those of `credentials` are CredProxy's.
        for command in args::command().get_subcommands().filter(|command| command.get_name() != "credentials")
        {
            for flag in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
                let long = flag.get_long().unwrap();
                // Kubernetes sets RDS_AUTH_PROXY_PORT (its documentation, "Service", "Environment variables").
                if long == "port" {
                    assert!(flag.get_env().is_none());
                    continue;
                }
                let expected = format!("RDS_AUTH_PROXY_{}", long.to_uppercase().replace('-', "_"));
                assert_eq!(flag.get_env().unwrap().to_str().unwrap(), expected);
            }
        }
    }
}

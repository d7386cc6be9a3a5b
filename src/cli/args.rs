//! The definition of the command line: commands, flags, variables and help texts.
//!
//! Each flag has an environment variable, `RDS_AUTH_PROXY_` and its name; those of `credentials` are CredProxy's.

mod client;
mod credentials;
mod doctor;
mod export;
mod gen_cert;
mod init;
mod server;
mod sessions;
mod source;
mod targets;
mod token;
mod values;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

pub(super) use client::ClientArguments;
pub(super) use credentials::{
    CredentialsAction, CredentialsArguments, PolicyArguments, existing as existing_credentials,
};
pub(super) use doctor::DoctorArguments;
pub(super) use export::{ExportArguments, ExportFormat};
pub(super) use gen_cert::GenCertArguments;
pub(super) use init::InitArguments;
pub(super) use server::ServerArguments;
pub(super) use sessions::{EndArguments, SessionsAction, SessionsArguments};
pub(super) use source::SourceArguments;
pub(super) use targets::TargetsArguments;
pub(super) use token::TokenArguments;
pub(super) use values::OutputFormat;
use values::path_or_empty;

/// Reach Postgres on Amazon RDS with an IAM identity and nothing else.
// Of a flag that is repeated, the last one counts, as in spf13/pflag, which the Go program uses.
#[derive(Parser)]
#[command(name = "rds-auth-proxy", version, after_help = EXAMPLES, args_override_self = true)]
pub(super) struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Run on your machine: connects applications to the database you choose
    Client(ClientArguments),
    /// Run beside the databases: connects clients to the targets they may reach
    Server(ServerArguments),
    /// Run beside containers: serves each of them AWS credentials of its role, as ECS does
    Credentials(CredentialsArguments),
    /// Create a self-signed certificate and its private key, or a CA for mutual TLS
    GenCert(GenCertArguments),
    /// Print the completion script for a shell
    Completion(CompletionArguments),
    /// Check whether a proxy on this machine is ready: exit code 0 if it is, 1 if not
    Healthcheck(HealthcheckArguments),
    /// List the open sessions of a proxy on this machine, or end one
    Sessions(SessionsArguments),
    /// List the databases that a client can reach, and those that it cannot
    Targets(TargetsArguments),
    /// Print settings with which psql, drivers and database tools reach the targets
    Export(ExportArguments),
    /// Print an IAM token, which is the password of a database user for 15 minutes
    Token(TokenArguments),
    /// Check each step from the configuration to a query, with a remedy where one fails
    Doctor(DoctorArguments),
    /// Write a first configuration from what this machine and AWS have
    Init(InitArguments),
    /// Write manual pages into a directory
    #[command(hide = true)]
    Man(ManArguments),
    /// Print version, commit and date of this program
    Version(VersionArguments),
}

/// Arguments of `completion`.
#[derive(Args)]
#[command(after_help = COMPLETION_EXAMPLES)]
pub(super) struct CompletionArguments {
    /// The shell that reads the script; without it, prints the scripts for bash and zsh
    pub(super) shell: Option<Shell>,
}

/// Arguments of `healthcheck`.
#[derive(Args)]
#[command(after_help = HEALTHCHECK_EXAMPLES)]
pub(super) struct HealthcheckArguments {
    /// The configuration of that proxy
    #[arg(
        long,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_CONFIGFILE",
        value_hint = ValueHint::FilePath,
        value_parser = path_or_empty()
    )]
    pub(super) configfile: Option<PathBuf>,
}

/// Arguments of `man`.
#[derive(Args)]
pub(super) struct ManArguments {
    /// The directory for the pages; it is created if it does not exist
    #[arg(value_hint = ValueHint::DirPath)]
    pub(super) directory: PathBuf,
}

/// Arguments of `version`.
#[derive(Args)]
#[command(after_help = VERSION_EXAMPLES)]
pub(super) struct VersionArguments {
    /// The format of the output
    #[arg(long, value_name = "FORMAT", env = "RDS_AUTH_PROXY_OUTPUT", value_enum, default_value = "text")]
    pub(super) output: OutputFormat,
}

const EXAMPLES: &str = "\
Examples:
  rds-auth-proxy client --target orders-db     reach the RDS database orders-db from here
  rds-auth-proxy server --configfile s.yaml    run beside the databases
  rds-auth-proxy client --help                 every flag of a command, with examples";

const COMPLETION_EXAMPLES: &str = "\
Examples:
  In this shell only:
    source <(rds-auth-proxy completion bash)
  In each new zsh:
    rds-auth-proxy completion zsh > \"${fpath[1]}/_rds-auth-proxy\"
  In each new fish:
    rds-auth-proxy completion fish > ~/.config/fish/completions/rds-auth-proxy.fish";

const HEALTHCHECK_EXAMPLES: &str = "\
Examples:
  rds-auth-proxy healthcheck --configfile /etc/rds-auth-proxy/config.yaml
  rds-auth-proxy healthcheck    # the proxy of ./config.yaml, client or server, or `credentials` where there is no such file";

const VERSION_EXAMPLES: &str = "\
Examples:
  rds-auth-proxy version
  rds-auth-proxy version --output json";

/// The definition of the command line, from which completion scripts and manual pages are generated.
pub(super) fn command() -> clap::Command {
    Arguments::command()
}

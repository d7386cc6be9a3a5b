//! The arguments of `client`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{BoolishValueParser, StringValueParser, TypedValueParser};
use clap::{Args, ValueHint};

use super::source::SourceArguments;
use super::values::path_or_empty;
use crate::cli::candidates;
use crate::secret::Secret;

/// Arguments of `client`. There is no `Debug`: they hold a password.
#[derive(Args)]
#[command(after_help = CLIENT_EXAMPLES)]
pub(in crate::cli) struct ClientArguments {
    #[command(flatten)]
    pub(in crate::cli) source: SourceArguments,
    /// The database to reach, by its name in RDS or in `targets`; without it, prompts if standard input is a terminal. Several
    /// times, or with `*` and `?` in the name, it reaches several databases, each on its port
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_TARGET", add = candidates::targets())]
    pub(in crate::cli) target: Vec<String>,
    /// Reach every database, each on its port
    #[arg(long, env = "RDS_AUTH_PROXY_ALL", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) all: bool,
    /// The upstream proxy, by its name in `upstream_proxies` [default: the one called "default", or the only one]
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_PROXY_TARGET", add = candidates::upstream_proxies())]
    pub(in crate::cli) proxy_target: Option<String>,
    /// The address to listen on, in place of `proxy.listen_addr` and `local_port`: HOST:PORT or `unix:/PATH`
    #[arg(long, value_name = "ADDRESS", env = "RDS_AUTH_PROXY_LISTEN")]
    pub(in crate::cli) listen: Option<String>,
    /// The port to listen on, in place of that of the address; 0 lets the system choose
    // No variable: Kubernetes sets RDS_AUTH_PROXY_PORT to a URL where a Service is called rds-auth-proxy.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) port: Option<String>,
    /// A database password in place of an IAM token. Other users can see it in the list of processes: prefer
    /// --password-file or the environment
    #[arg(
        long,
        value_name = "VALUE",
        env = "RDS_AUTH_PROXY_PASSWORD",
        hide_env_values = true,
        allow_hyphen_values = true,
        value_parser = StringValueParser::new().map(Secret::new)
    )]
    pub(in crate::cli) password: Option<Secret>,
    /// A file with the database password; one line break at its end is ignored
    #[arg(
        long,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_PASSWORD_FILE",
        value_hint = ValueHint::FilePath,
        value_parser = path_or_empty()
    )]
    pub(in crate::cli) password_file: Option<PathBuf>,
    /// Connect straight to the database, without a server in between; ignores --proxy-target
    #[arg(long, env = "RDS_AUTH_PROXY_DIRECT", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) direct: bool,
    /// The database user of the command
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_USER")]
    pub(in crate::cli) user: Option<String>,
    /// A command that connects to the database: it runs here, libpq finds the database by its environment, and the client ends with it
    #[arg(last = true, value_name = "COMMAND")]
    pub(in crate::cli) command: Vec<OsString>,
}

const CLIENT_EXAMPLES: &str = "\
Examples:
  Choose the database from a list, then connect with the psql command that it prints:
    rds-auth-proxy client
  Run a command that connects to the database, and end with it:
    rds-auth-proxy client --target orders-db -- psql -U alice app
  Reach several databases at the same time, each on its port; quote the pattern:
    rds-auth-proxy client --target people-db --target 'orders-*'
  Reach one database through the server called \"staging\" in the configuration:
    rds-auth-proxy client --target orders-db --proxy-target staging
  Log in with a password instead of IAM:
    rds-auth-proxy client --target orders-db --password-file ~/.orders-db";
